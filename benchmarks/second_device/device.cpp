// A device of its own in ordinary memory ("second:0"), for machines without a graphics card.
//
// Every operation is computed by the processor's kernel, but only if all its tensors lie on this device
// (0-dimensional processor tensors are let through, as CUDA does), and it is counted. What would fail on
// a graphics card because a tensor was left behind fails here too; what would make the host wait for the
// device can be counted.

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

namespace {

constexpr auto KIND = c10::DeviceType::PrivateUse1;

// ---- what happened ----
std::mutex counting;
std::map<std::string, int64_t> counted;
thread_local bool inside = false;  // copies of the fallback itself are not the program's

void count(const std::string& what, int64_t by = 1) {
  std::lock_guard<std::mutex> held(counting);
  counted[what] += by;
}

std::string counts() {
  std::lock_guard<std::mutex> held(counting);
  std::ostringstream lines;
  for (const auto& [what, times] : counted) lines << what << " " << times << "\n";
  counted.clear();
  return lines.str();
}

// ---- memory ----
struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes ? std::malloc(bytes) : nullptr;
    return {data, data, &std::free, c10::Device(KIND, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
};
Memory memory;

at::Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> type, std::optional<c10::Layout>,
                 std::optional<c10::Device>, std::optional<bool>,
                 std::optional<c10::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(type), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride,
                         std::optional<c10::ScalarType> type, std::optional<c10::Layout>,
                         std::optional<c10::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory,
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(type));
}

// The same memory as a tensor of the processor.
at::Tensor as_host(const at::Tensor& tensor) {
  if (tensor.device().is_cpu()) return tensor;
  return at::from_blob(tensor.mutable_data_ptr(), tensor.sizes(), tensor.strides(),
                       tensor.options().device(at::kCPU));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool ahead) {
  if (!inside) {
    const bool up = from.device().is_cpu(), down = to.device().is_cpu();
    count(up ? (ahead ? "to_device_ahead" : "to_device") : down ? "to_host" : "aten::copy_");
    if (up != down) count(up ? "bytes_to_device" : "bytes_to_host", from.nbytes());
  }
  as_host(to).copy_(as_host(from).expand(to.sizes()));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  return copy_from(from, to, false);
}

const at::Tensor& resize(const at::Tensor& self, c10::SymIntArrayRef size,
                         std::optional<c10::MemoryFormat> format) {
  auto* impl = self.unsafeGetTensorImpl();
  const auto wanted = C10_AS_INTARRAYREF_SLOW(size);
  impl->set_sizes_contiguous(wanted);
  const auto bytes = static_cast<size_t>(impl->numel() + impl->storage_offset()) * impl->itemsize();
  auto storage = impl->storage();
  if (bytes > storage.nbytes()) {
    auto grown = memory.allocate(bytes);
    if (storage.nbytes()) std::memcpy(grown.get(), storage.data(), storage.nbytes());
    storage.set_data_ptr_noswap(std::move(grown));
    storage.set_nbytes(bytes);
  }
  return self;
}

// ---- operations ----
void check(const c10::OperatorHandle& op, const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.device().type() == KIND || tensor.dim() == 0) return;
  const auto& name = op.schema().name();
  // CUDA takes indices of the processor.
  if (name == "aten::index" || name == "aten::index_put_" || name == "aten::_index_put_impl_") return;
  TORCH_CHECK(false, name, ": a tensor of ", tensor.sizes(), " lies on ", tensor.device(),
              ", others on ", c10::Device(KIND, 0));
}

void compute(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto arguments = torch::jit::last(*stack, op.schema().arguments().size());
  for (const auto& value : arguments) {
    if (value.isTensor()) check(op, value.toTensor());
    if (value.isTensorList())
      for (const at::Tensor& each : value.toTensorVector()) check(op, each);
    if (value.isOptionalTensorList())
      for (const std::optional<at::Tensor>& each : value.toOptionalTensorList())
        if (each) check(op, *each);
  }
  if (!inside) count(op.schema().name());
  const bool before = inside;
  inside = true;
  try {
    at::native::cpu_fallback(op, stack);
  } catch (...) {
    inside = before;
    throw;
  }
  inside = before;
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&compute>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("resize_", resize);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", at::native::view);
  m.impl("unfold", at::native::unfold);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("set_.source_Storage", at::native::set_);
  m.impl("set_.source_Storage_storage_offset", at::native::set_storage_cpu_);
  m.impl("native_group_norm", torch::CppFunction::makeFromBoxedFunction<&compute>());
  m.impl("convolution", torch::CppFunction::makeFromBoxedFunction<&compute>());
  m.impl("convolution_backward", torch::CppFunction::makeFromBoxedFunction<&compute>());
  // For lists of tensors a graphics card has kernels of its own.
  for (const char* name :
       {"_foreach_add.List", "_foreach_add.Scalar", "_foreach_add_.List", "_foreach_add_.Scalar",
        "_foreach_sub.List", "_foreach_sub_.List", "_foreach_mul.Scalar", "_foreach_mul.Tensor",
        "_foreach_mul.List", "_foreach_mul_.Scalar", "_foreach_mul_.Tensor", "_foreach_lerp_.Scalar",
        "_foreach_sqrt", "_foreach_div_.ScalarList", "_foreach_addcmul_.Scalar",
        "_foreach_addcdiv_.ScalarList"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&compute>());
}

TORCH_LIBRARY(second_device, m) { m.def("counts() -> str", counts); }

// ---- what torch asks of any device ----
struct Guard final : c10::impl::DeviceGuardImplInterface {
  Guard() = default;
  explicit Guard(c10::DeviceType) {}
  c10::DeviceType type() const override { return KIND; }
  c10::Device exchangeDevice(c10::Device) const override { return {KIND, 0}; }
  c10::Device getDevice() const override { return {KIND, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, {KIND, 0});
  }
  c10::Stream exchangeStream(c10::Stream) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, {KIND, 0});
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
};

const bool registered = [] {
  c10::SetAllocator(KIND, &memory);
  static Hooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  c10::register_privateuse1_backend("second");
  return true;
}();

}  // namespace
