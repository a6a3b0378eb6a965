// Every check of KFD's queue ioctls, broken once.
#include "kfd_checks.hpp"
#include "kfd_test_queue.hpp"

using namespace kfd_test;

namespace {

constexpr u64 kernel_address = 0xffff'8000'0000'0000;
constexpr long enotsupp = -524; // which only the kernel knows

class QueueChecks : public QueueDevice {
protected:
  // Creates a queue with one thing changed.
  std::function<long()> with(std::function<void(kfd_ioctl_create_queue_args&)> change) {
    return [this, change] {
      auto args = good();
      change(args);
      return create(args);
    };
  }
  using Args = kfd_ioctl_create_queue_args;

  // A queue for the length of a test.
  u32 lasting(u32 percentage = 100) {
    auto args = good();
    args.queue_percentage = percentage;
    EXPECT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
    return args.queue_id;
  }
  long update(u32 id, u64 ring, u32 size, u32 percentage, u32 priority) {
    kfd_ioctl_update_queue_args args{ring, id, size, percentage, priority};
    return call(kfd_, ioc::UPDATE_QUEUE, args);
  }
  long mask(u32 id, u32 bits, const void* words) {
    kfd_ioctl_set_cu_mask_args args{id, bits, as_u64(words)};
    return call(kfd_, ioc::SET_CU_MASK, args);
  }
  long wave_state(u32 id, void* area) {
    kfd_ioctl_get_queue_wave_state_args args{};
    args.queue_id = id;
    args.ctl_stack_address = as_u64(area);
    return call(kfd_, ioc::GET_QUEUE_WAVE_STATE, args);
  }
  long gws(u32 id, u32 count) {
    kfd_ioctl_alloc_queue_gws_args args{id, count, 0, 0};
    return call(kfd_, ioc::ALLOC_QUEUE_GWS, args);
  }
};

TEST_F(QueueChecks, properties) {
  run({
      {"percentage", with([](Args& a) { a.queue_percentage = 101; }), -EINVAL},
      {"priority", with([](Args& a) { a.queue_priority = 16; }), -EINVAL},
      {"ring of the kernel's", with([](Args& a) { a.ring_base_address = kernel_address; }), -EFAULT},
      {"ring size no power of two", with([](Args& a) { a.ring_size = 3 * page; }), -EINVAL},
      {"metadata ring size no power of two", with([](Args& a) { a.metadata_ring_size = 3 * page; }), -EINVAL},
      {"the metadata ring comes before the pointers",
       with([](Args& a) { a.metadata_ring_size = 3, a.read_pointer_address = kernel_address; }), -EINVAL},
      {"read pointer of the kernel's", with([](Args& a) { a.read_pointer_address = kernel_address; }),
       -EFAULT},
      {"write pointer of the kernel's", with([](Args& a) { a.write_pointer_address = kernel_address; }),
       -EFAULT},
      {"EOP buffer of the kernel's", with([](Args& a) { a.eop_buffer_address = kernel_address; }), -EFAULT},
      {"context area of the kernel's", with([](Args& a) { a.ctx_save_restore_address = kernel_address; }),
       -EFAULT},
      {"type", with([](Args& a) { a.queue_type = 5; }), enotsupp},
      {"the type comes before the GPU", with([](Args& a) { a.queue_type = 5, a.gpu_id = 1; }), enotsupp},
      {"unknown GPU", with([](Args& a) { ++a.gpu_id; }), -EINVAL},
      {"SDMA engine", with([](Args& a) { a.queue_type = QUEUE_TYPE_SDMA_BY_ENG_ID, a.sdma_engine_id = 4; }),
       -EINVAL},
      {"PM4 target XCC in the percentage is no percentage",
       with([](Args& a) { a.queue_percentage |= 0x100; }), 0},
      {"nothing wrong", with([](Args&) {}), 0},
  });
}

TEST_F(QueueChecks, buffers) {
  const Memory large = make(ALLOC_MEM_FLAGS_GTT, 2 * page);
  const u64 unmapped = 0x10000;
  run({
      {"write pointer in two pages", with([&](Args& a) { a.write_pointer_address = large.va; }), -EINVAL},
      {"write pointer nowhere", with([&](Args& a) { a.write_pointer_address = unmapped; }), -EINVAL},
      {"no write pointer", with([&](Args& a) { a.write_pointer_address = 0; }), -EINVAL},
      {"read pointer in two pages", with([&](Args& a) { a.read_pointer_address = large.va; }), -EINVAL},
      {"read pointer not in the first page of a mapping",
       with([&](Args& a) { a.read_pointer_address = ring_.va + page; }), -EINVAL},
      {"ring smaller than its mapping", with([&](Args& a) { a.ring_size = ring_size / 2; }), -EINVAL},
      {"ring larger than its mapping", with([&](Args& a) { a.ring_size = ring_size * 2; }), -EINVAL},
      {"a metadata ring behind the ring", with([](Args& a) { a.metadata_ring_size = ring_size; }), -EINVAL},
      {"a metadata ring within the ring's mapping",
       with([](Args& a) { a.ring_size = a.metadata_ring_size = ring_size / 2; }), -EINVAL},
      {"only AQL queues have a metadata ring",
       with([](Args& a) { a.queue_type = QUEUE_TYPE_COMPUTE, a.metadata_ring_size = ring_size; }), 0},
      {"ring of less than a page in a mapping of two",
       with([&](Args& a) { a.ring_base_address = large.va, a.ring_size = page / 2; }), -EINVAL},
      {"ring of less than a page in a mapping of one",
       with([&](Args& a) { a.ring_base_address = eop_.va, a.eop_buffer_address = 0, a.ring_size = 0; }), 0},
      {"ring nowhere", with([&](Args& a) { a.ring_base_address = unmapped; }), -EINVAL},
      {"no ring", with([&](Args& a) { a.ring_base_address = 0; }), -EINVAL},
      {"EOP buffer too small", with([&](Args& a) { a.eop_buffer_size = page / 2; }), -EINVAL},
      {"EOP buffer larger than the node's",
       with([&](Args& a) { a.eop_buffer_size = 2 * page, a.eop_buffer_address = large.va; }), -EINVAL},
      {"EOP buffer in two pages", with([&](Args& a) { a.eop_buffer_address = large.va; }), -EINVAL},
      {"control stack larger than the node's", with([&](Args& a) { a.ctl_stack_size += page; }), -EINVAL},
      {"control stack smaller", with([&](Args& a) { a.ctl_stack_size -= page; }), -EINVAL},
      {"context smaller than the node's", with([&](Args& a) { a.ctx_save_restore_size -= page; }), -EINVAL},
      {"context larger than its mapping", with([&](Args& a) { a.ctx_save_restore_size += page; }), -EINVAL},
      {"context in another mapping", with([&](Args& a) { a.ctx_save_restore_address = eop_.va; }), -EINVAL},
      {"no context", with([&](Args& a) { a.ctx_save_restore_address = 0; }), -EINVAL},
      {"no EOP buffer is fine", with([&](Args& a) { a.eop_buffer_address = 0; }), 0},
  });
  release(large);
}

TEST_F(QueueChecks, buffers_of_a_queue_stay_mapped) {
  const u32 id = lasting();
  for (const Memory& memory : {ring_, pointers_, eop_, context_})
    EXPECT_EQ(unmap(memory.handle), -EBUSY);
  EXPECT_EQ(destroy(id), 0);
}

TEST_F(QueueChecks, unknown_queues) {
  const u32 bits = 0xf;
  run({
      {"destroy", [&] { return destroy(77); }, -EINVAL},
      {"update", [&] { return update(77, 0, 0, 100, 7); }, -EFAULT},
      {"mask", [&] { return mask(77, 32, &bits); }, -EFAULT},
      {"wave state", [&] { return wave_state(77, nullptr); }, -EFAULT},
      {"GWS", [&] { return gws(77, 1); }, -EINVAL},
  });
}

TEST_F(QueueChecks, updates) {
  const u32 id = lasting();
  run({
      {"percentage", [&] { return update(id, ring_.va, ring_size, 101, 7); }, -EINVAL},
      {"priority", [&] { return update(id, ring_.va, ring_size, 100, 16); }, -EINVAL},
      {"ring of the kernel's", [&] { return update(id, kernel_address, ring_size, 100, 7); }, -EFAULT},
      {"size no power of two", [&] { return update(id, ring_.va, 3 * page, 100, 7); }, -EINVAL},
      {"not the mapping's size", [&] { return update(id, ring_.va, ring_size / 2, 100, 7); }, -EFAULT},
      {"a ring nowhere", [&] { return update(id, 0x10000, ring_size, 100, 7); }, -EFAULT},
      {"nothing wrong", [&] { return update(id, ring_.va, ring_size, 100, 11); }, 0},
      {"no ring stops the queue", [&] { return update(id, 0, 0, 100, 7); }, 0},
  });
  EXPECT_EQ(destroy(id), 0);
}

TEST_F(QueueChecks, compute_unit_masks) {
  const u32 id = lasting();
  const u32 half_a_pair = 0x1, the_other_half = 0x20, pairs = 0x33;
  run({
      {"not whole words", [&] { return mask(id, 31, &pairs); }, -EINVAL},
      {"no bits", [&] { return mask(id, 0, &pairs); }, -EINVAL},
      {"in a hole", [&] { return mask(id, 32, hole()); }, -EFAULT},
      {"the mask comes before the queue", [&] { return mask(77, 32, hole()); }, -EFAULT},
      {"half a WGP", [&] { return mask(id, 32, &half_a_pair); }, -EINVAL},
      {"the other half", [&] { return mask(id, 32, &the_other_half); }, -EINVAL},
      {"nothing wrong", [&] { return mask(id, 32, &pairs); }, 0},
  });
  EXPECT_EQ(destroy(id), 0);
}

TEST_F(QueueChecks, wave_states) {
  const u32 active = lasting(), inactive = lasting(0);
  auto args = good();
  args.queue_type = QUEUE_TYPE_SDMA;
  args.queue_percentage = 0;
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  run({
      {"of an active queue", [&] { return wave_state(active, context_.cpu); }, -EINVAL},
      {"of an SDMA queue", [&] { return wave_state(args.queue_id, context_.cpu); }, -EINVAL},
      {"into a hole", [&] { return wave_state(inactive, hole()); }, -EFAULT},
      {"into what cannot be written", [&] { return wave_state(inactive, read_only()); }, -EFAULT},
      {"nothing wrong", [&] { return wave_state(inactive, context_.cpu); }, 0},
  });
  for (const u32 id : {active, inactive, args.queue_id})
    EXPECT_EQ(destroy(id), 0);
}

TEST_F(QueueChecks, global_wave_sync) {
  const u32 one = lasting(), two = lasting();
  run({
      {"gives back what it has not", [&] { return gws(one, 0); }, -EINVAL},
      {"nothing wrong", [&] { return gws(one, 1); }, 0},
      {"one queue of a process", [&] { return gws(two, 1); }, -EBUSY},
      {"the same queue again", [&] { return gws(one, 1); }, -EBUSY},
      {"gives back another's", [&] { return gws(two, 0); }, -EINVAL},
      {"gives it back", [&] { return gws(one, 0); }, 0},
  });
  EXPECT_EQ(destroy(one), 0);
  EXPECT_EQ(destroy(two), 0);
}

TEST_F(QueueChecks, what_wants_to_come_before_the_first_queue) {
  const u32 id = lasting();
  kfd_ioctl_runtime_enable_args runtime{};
  runtime.mode_mask = RUNTIME_ENABLE_MODE_ENABLE;
  EXPECT_EQ(call(kfd_, ioc::RUNTIME_ENABLE, runtime), -EEXIST);
  EXPECT_EQ(destroy(id), 0);
}

TEST_F(QueueChecks, doorbells) {
  auto args = good();
  ASSERT_EQ(call(kfd_, ioc::CREATE_QUEUE, args), 0);
  const u64 base = args.doorbell_offset & ~(doorbell_bytes - 1);
  run({
      {"half of them", [&] { return try_mmap(kfd_, page, base); }, -EINVAL},
      {"too many", [&] { return try_mmap(kfd_, 2 * doorbell_bytes, base); }, -EINVAL},
      {"of an unknown GPU",
       [&] { return try_mmap(kfd_, doorbell_bytes, KFD_MMAP_TYPE_DOORBELL | mmap_gpu_id(gpu_ + 1)); },
       -ENODEV},
      {"all of them", [&] { return try_mmap(kfd_, doorbell_bytes, base); }, 0},
      {"a length counts in pages", [&] { return try_mmap(kfd_, doorbell_bytes - 8, base); }, 0},
  });
  EXPECT_EQ(destroy(args.queue_id), 0);
}

} // namespace
