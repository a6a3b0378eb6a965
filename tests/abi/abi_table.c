#include "abi_table.h"

/* Compiled twice: as abi_table_of_c and, with per-thread default streams, as abi_table_of_c_per_thread. */
const struct AbiTable* ABI_TABLE_FUNCTION(void);

const struct AbiTable* ABI_TABLE_FUNCTION(void) {
  return &abi_table;
}
