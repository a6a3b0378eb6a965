#include "gpu_fixture.hpp"

int main(int argc, char** argv) {
  return test::run(argc, argv);
}
