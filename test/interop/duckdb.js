// Print a Parquet file's cells as parquet_cells does, or write one.
//   node duckdb.js read FILE | node duckdb.js write FILE PARQUET_VERSION CODEC
const { DuckDBInstance } = require('@duckdb/node-api');

const hex = (bytes) => Buffer.from(bytes).toString('hex');

function bits(value, size) {
  if (Number.isNaN(value)) return 'nan';
  const b = Buffer.alloc(size);
  if (size === 4) b.writeFloatBE(value); else b.writeDoubleBE(value);
  return b.toString('hex');
}

function int128(value) {
  return BigInt.asUintN(128, value).toString(16).padStart(32, '0');
}

function cell(type, value) {
  const name = type.toString();
  if (value === null) return 'null';
  if (name === 'BOOLEAN') return value ? '1' : '0';
  if (name === 'FLOAT') return bits(value, 4);
  if (name === 'DOUBLE') return bits(value, 8);
  if (name === 'DATE') return String(value.days);
  if (name.startsWith('TIME')) return String(value.micros);
  if (name.startsWith('DECIMAL'))
    return type.width > 18 ? int128(value.value) : String(value.value);
  if (name === 'UUID') return value.toString().replaceAll('-', '');
  if (name === 'BLOB') return hex(value.bytes);
  if (name === 'VARCHAR' || name === 'JSON') return hex(Buffer.from(value, 'utf8'));
  return String(value);
}

async function read(connection, file) {
  const result = await connection.run(`select * from read_parquet('${file}')`);
  const names = result.columnNames();
  const types = result.columnTypes();
  const lines = [];
  let row = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (!chunk || chunk.rowCount === 0) break;
    for (let i = 0; i < chunk.rowCount; i++, row++)
      for (let c = 0; c < names.length; c++)
        lines.push(`${row} ${names[c]} ${cell(types[c], chunk.getColumnVector(c).getItem(i))}`);
  }
  process.stdout.write(lines.join('\n') + '\n');
}

// DuckDB's v2 files use encodings outside our subset for these.
const BEYOND_V2 = 'float4, float8, "decimal38", text_plain, uuid, bytes';

async function write(connection, file, version, codec) {
  const columns = version === 'v2' ? `* exclude (${BEYOND_V2})` : '*';
  await connection.run(`copy (select ${columns} from (
    select i % 3 = 0 as bool, (i % 1000)::smallint as int2, i::integer as int4,
      case when i % 5 = 0 then null else i * 1000003 end::bigint as int8,
      (i / 7)::float as float4, case i % 9 when 0 then 'nan'::double when 1 then '-inf' else i / 7 end as float8,
      (i * 3)::decimal(18, 3) as "decimal18", (i * 3)::decimal(38, 3) as "decimal38",
      case when i % 11 = 0 then null else 'text ' || (i % 100) end as text_dictionary,
      md5(i::varchar) as text_plain, encode(chr((i % 90 + 33)::integer)) as bytes,
      md5(i::varchar)::uuid as uuid, date '2000-01-01' + (i % 5000)::integer as date,
      time '00:00:00' + to_seconds(i % 80000) as "time",
      timestamp '1999-12-31' + to_seconds(i) as "timestamp",
      (timestamp '1999-12-31' + to_seconds(i))::timestamptz as timestamptz,
      null::integer as nothing
    from range(150000) t(i)
  )) to '${file}' (format parquet, parquet_version ${version}, codec '${codec}', row_group_size 40960)`);
}

async function main() {
  const [mode, file, version, codec] = process.argv.slice(2);
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("set timezone = 'UTC'");
  await connection.run('set threads = 1');
  if (mode === 'write') await write(connection, file, version, codec);
  else await read(connection, file);
}

main().catch((e) => { console.error(e); process.exit(1); });
