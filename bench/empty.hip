extern "C" __attribute__((global)) void empty() {}
