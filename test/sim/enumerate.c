#include "sim.h"
void sim_enumerate_single(const SimShare *share, SimCounts *counts, bool is_traced, int64_t only){(void)share;(void)counts;(void)is_traced;(void)only;}
void sim_enumerate_pairs(const SimShare *share, SimCounts *counts, bool is_traced, int64_t only){(void)share;(void)counts;(void)is_traced;(void)only;}
