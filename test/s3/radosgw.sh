#!/usr/bin/env bash
# radosgw.sh start|kill|rgw|stop DIR: a Ceph cluster of one monitor, one OSD and one RADOS gateway, for the tests.
#
# The only S3 server in Debian 12 whose conditional PUT is atomic.  All three daemons listen on loopback only,
# keep everything below DIR, and are known by the process ids in DIR/run.  No cephx, no manager: nothing that
# one S3 endpoint does not need.  The data is in a file (bluestore), so that it outlives a kill -9.
#
#   start	make the cluster if DIR holds none, and start it; writes DIR/env: the endpoint and the keys
#   kill	kill -9 of all three daemons
#   rgw		kill -9 of the gateway alone, and start it again
#   stop	the end of it; DIR remains
#
# What is set below and why: ms_mon_client_mode, because the default wants cephx; tcp_nodelay, or each GET takes
# 44 ms; paxos_propose_interval, or the first start takes 20 s; osd_heartbeat_grace, or a restart after kill -9
# takes 12 s; osd_memory_target, the bounded memory of the OSD.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: $0 start|kill|rgw|stop DIR" >&2; exit 2; }
command=$1
dir=$2
conf=$dir/ceph.conf
key=REEFTESTKEY
secret=reef/test+secret/0123456789abcdef
bucket=reef-test
export CEPH_CONF=$conf CEPH_ARGS=

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
	done
}

wait_port() {
	local i
	for i in $(seq 1 600); do
		(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
		sleep 0.05
	done
	echo "port $1 never opened" >&2
	tail -n 5 "$dir"/log/*.out >&2
	return 1
}

write_configuration() {
	local mon_port=$1 s3_port=$2
	mkdir -p "$dir"/{mon,osd,log,run,rgw}
	cat >"$conf" <<-CONF
		[global]
		fsid = $(cat /proc/sys/kernel/random/uuid)
		mon_host = [v2:127.0.0.1:$mon_port]
		ms_bind_ipv4 = true
		ms_bind_msgr1 = false
		ms_bind_port_min = $((mon_port + 1))
		ms_bind_port_max = $((mon_port + 40))
		public_addr = 127.0.0.1
		cluster_addr = 127.0.0.1
		public_network = 127.0.0.0/8
		auth_cluster_required = none
		auth_service_required = none
		auth_client_required = none
		ms_mon_client_mode = crc
		auth_allow_insecure_global_id_reclaim = false
		run_dir = $dir/run
		admin_socket = $dir/run/\$name.asok
		pid_file = $dir/run/\$name.pid
		log_file = $dir/log/\$name.log
		log_to_stderr = false
		mon_cluster_log_file = $dir/log/cluster.log
		crash_dir = $dir/log
		keyring = $dir/keyring
		osd_pool_default_size = 1
		osd_pool_default_min_size = 1
		osd_pool_default_pg_num = 4
		osd_pool_default_pgp_num = 4
		osd_pool_default_pg_autoscale_mode = off
		osd_crush_chooseleaf_type = 0
		mon_allow_pool_size_one = true
		mon_max_pg_per_osd = 2000
		mon_osd_full_ratio = .96
		mon_osd_nearfull_ratio = .94
		mon_osd_backfillfull_ratio = .95
		mon_data_avail_warn = 1
		mon_data_avail_crit = 0
		paxos_propose_interval = 0.02
		paxos_min_wait = 0.01
		osd_memory_target = 939524096
		osd_heartbeat_grace = 2
		osd_heartbeat_interval = 1
		osd_op_num_shards = 1
		osd_op_num_threads_per_shard = 8
		[mon.a]
		host = localhost
		mon_data = $dir/mon
		mon_compact_on_start = false
		[osd.0]
		osd_data = $dir/osd
		osd_journal = $dir/osd/journal
		osd_objectstore = bluestore
		osd_class_update_on_start = false
		osd_crush_update_on_start = false
		bluestore_block_create = true
		bluestore_block_size = 10737418240
		bluestore_block_db_create = false
		bluestore_block_wal_create = false
		[client.rgw.a]
		rgw_data = $dir/rgw
		rgw_frontends = beast endpoint=127.0.0.1:$s3_port tcp_nodelay=1
		rgw_thread_pool_size = 64
		rgw_enable_usage_log = false
		rgw_run_sync_thread = false
		rgw_lc_max_objs = 1
		rgw_gc_max_objs = 8
		rgw_usage_max_shards = 1
		rgw_data_log_num_shards = 1
		rgw_md_log_max_shards = 1
		rgw_num_control_oids = 1
		rgw_override_bucket_index_max_shards = 1
		rgw_dynamic_resharding = false
	CONF
	cat >"$dir/env" <<-ENV
		export REEF_S3_ENDPOINT=http://127.0.0.1:$s3_port REEF_S3_BUCKET=$bucket
		export REEF_S3_KEY=$key REEF_S3_SECRET=$secret
	ENV
}

# A daemon in the background, its process id in DIR/run/NAME.
launch() {						# launch NAME COMMAND...
	local name=$1
	shift
	"$@" -f </dev/null >>"$dir/log/$name.out" 2>&1 &
	echo $! >"$dir/run/$name"
}

start_osd() {
	local is_new=0 i
	if [ ! -e "$dir/osd/whoami" ]; then
		local uuid
		is_new=1
		uuid=$(cat /proc/sys/kernel/random/uuid)
		ceph -c "$conf" osd new "$uuid" >/dev/null
		ceph -c "$conf" osd crush add osd.0 1.0 root=default >/dev/null 2>&1
		ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$uuid" >>"$dir/log/osd.out" 2>&1
		echo 0 >"$dir/osd/whoami"
	else
		# After a crash the map still says that it is up; the gateway would wait for a timer then.
		ceph -c "$conf" osd down 0 >/dev/null 2>&1 || true
	fi
	launch osd ceph-osd -c "$conf" -i 0
	[ $is_new = 0 ] || return 0
	for i in $(seq 1 100); do
		if ceph -c "$conf" osd stat 2>/dev/null | grep -q ' 1 up'; then return 0; fi
		sleep 0.1
	done
	echo "the OSD never came up" >&2
	return 1
}

start_gateway() {
	launch rgw radosgw -c "$conf" -n client.rgw.a
	wait_port "$(sed -n 's/^rgw_frontends.*endpoint=127.0.0.1:\([0-9]*\).*/\1/p' "$conf")"
}

make_user_and_bucket() {
	local i
	radosgw-admin -c "$conf" -n client.rgw.a user create --uid=test --display-name=test \
		--access-key="$key" --secret-key="$secret" >/dev/null
	. "$dir/env"
	for i in $(seq 1 100); do
		if curl -s -o /dev/null -f -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --aws-sigv4 aws:amz:us-east-1:s3 \
			--user "$key:$secret" -X PUT "$REEF_S3_ENDPOINT/$bucket"; then return 0; fi
		sleep 0.1
	done
	echo "the bucket could not be made" >&2
	return 1
}

start_all() {
	local is_new=0 mon_port
	ulimit -n 65536 2>/dev/null || true
	if [ ! -e "$dir/ready" ]; then
		is_new=1
		mon_port=$(free_port)
		mkdir -p "$dir"
		write_configuration "$mon_port" "$(free_port)"
		monmaptool --create --fsid "$(sed -n 's/^fsid = //p' "$conf")" \
			--addv a "[v2:127.0.0.1:$mon_port]" "$dir/monmap" >/dev/null
		ceph-mon -c "$conf" -i a --mkfs --monmap "$dir/monmap" >>"$dir/log/mon.out" 2>&1
	fi
	launch mon ceph-mon -c "$conf" -i a
	wait_port "$(sed -n 's/^mon_host = .*127.0.0.1:\([0-9]*\).*/\1/p' "$conf")"
	start_osd
	start_gateway
	if [ $is_new = 1 ]; then
		make_user_and_bucket
		touch "$dir/ready"
	fi
}

# kill -9, and wait until they are gone.
kill_daemons() {
	local name pid
	for name in "$@"; do
		pid=$(cat "$dir/run/$name" 2>/dev/null) || continue
		kill -9 "$pid" 2>/dev/null || continue
		while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
	done
}

case $command in
	start) start_all ;;
	kill | stop) kill_daemons rgw osd mon ;;
	rgw) kill_daemons rgw && start_gateway ;;
	*) echo "unknown command $command" >&2; exit 2 ;;
esac
