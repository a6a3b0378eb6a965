#include "llvm_tools.hpp"

#include <cstring>
#include <memory>
#include <stdexcept>
#include <unordered_map>

#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>
#include <llvm/ADT/SmallString.h>
#include <llvm/MC/MCAsmBackend.h>
#include <llvm/MC/MCAsmInfo.h>
#include <llvm/MC/MCCodeEmitter.h>
#include <llvm/MC/MCContext.h>
#include <llvm/MC/MCDisassembler/MCDisassembler.h>
#include <llvm/MC/MCInst.h>
#include <llvm/MC/MCInstPrinter.h>
#include <llvm/MC/MCInstrInfo.h>
#include <llvm/MC/MCObjectFileInfo.h>
#include <llvm/MC/MCObjectWriter.h>
#include <llvm/MC/MCParser/MCAsmParser.h>
#include <llvm/MC/MCParser/MCTargetAsmParser.h>
#include <llvm/MC/MCRegisterInfo.h>
#include <llvm/MC/MCStreamer.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/raw_ostream.h>

namespace emu::isa::test {

namespace {

constexpr const char* triple = "amdgcn-amd-amdhsa";
constexpr const char* cpu = "gfx1030";

void initialise() {
  static const bool done = [] {
    LLVMInitializeAMDGPUTargetInfo();
    LLVMInitializeAMDGPUTarget();
    LLVMInitializeAMDGPUTargetMC();
    LLVMInitializeAMDGPUAsmParser();
    LLVMInitializeAMDGPUDisassembler();
    return true;
  }();
  (void)done;
}

std::vector<std::uint32_t> text_section(llvm::StringRef object) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "asm"));
  if (!file)
    throw std::runtime_error("no object");
  for (const llvm::object::SectionRef& section : (*file)->sections()) {
    auto name = section.getName();
    if (!name || *name != ".text")
      continue;
    auto contents = section.getContents();
    if (!contents)
      break;
    std::vector<std::uint32_t> words(contents->size() / 4);
    std::memcpy(words.data(), contents->data(), words.size() * 4);
    return words;
  }
  throw std::runtime_error("no text section");
}

} // namespace

std::vector<std::uint32_t> assemble(std::string_view text, bool wave64) {
  initialise();
  std::string error;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    throw std::runtime_error(error);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(llvm::StringRef(text.data(), text.size())),
                             {});
  std::string messages;
  sources.setDiagHandler(
      [](const llvm::SMDiagnostic& d, void* out) {
        static_cast<std::string*>(out)->append(d.getMessage().str() + ": " + d.getLineContents().str() +
                                               "\n");
      },
      &messages);
  const llvm::MCTargetOptions options;
  std::unique_ptr<llvm::MCRegisterInfo> registers(target->createMCRegInfo(triple));
  std::unique_ptr<llvm::MCAsmInfo> asm_info(target->createMCAsmInfo(*registers, triple, options));
  std::unique_ptr<llvm::MCInstrInfo> instructions(target->createMCInstrInfo());
  std::unique_ptr<llvm::MCSubtargetInfo> subtarget(target->createMCSubtargetInfo(
      triple, cpu, wave64 ? "+wavefrontsize64,-wavefrontsize32" : "+wavefrontsize32,-wavefrontsize64"));
  llvm::MCContext context(llvm::Triple(triple), asm_info.get(), registers.get(), subtarget.get(), &sources);
  std::unique_ptr<llvm::MCObjectFileInfo> object_info(target->createMCObjectFileInfo(context, true));
  context.setObjectFileInfo(object_info.get());
  llvm::SmallString<4096> object;
  llvm::raw_svector_ostream out(object);
  std::unique_ptr<llvm::MCAsmBackend> backend(target->createMCAsmBackend(*subtarget, *registers, options));
  std::unique_ptr<llvm::MCObjectWriter> writer = backend->createObjectWriter(out);
  std::unique_ptr<llvm::MCCodeEmitter> emitter(target->createMCCodeEmitter(*instructions, context));
  std::unique_ptr<llvm::MCStreamer> streamer(target->createMCObjectStreamer(
      llvm::Triple(triple), context, std::move(backend), std::move(writer), std::move(emitter), *subtarget));
  std::unique_ptr<llvm::MCAsmParser> parser(llvm::createMCAsmParser(sources, context, *streamer, *asm_info));
  std::unique_ptr<llvm::MCTargetAsmParser> target_parser(
      target->createMCAsmParser(*subtarget, *parser, *instructions, options));
  parser->setTargetParser(*target_parser);
  if (parser->Run(false) || !messages.empty())
    throw std::runtime_error(messages);
  return text_section(object);
}

namespace {

void drop_encoding_suffix(std::string& mnemonic) {
  for (const std::string_view suffix : {"_e32", "_e64", "_sdwa", "_dpp", "_dpp8"})
    if (mnemonic.ends_with(suffix))
      mnemonic.resize(mnemonic.size() - suffix.size());
}

} // namespace

struct Disassembler::Decoder {
  Decoder() : target(find_target()) {
    const llvm::MCTargetOptions options;
    registers.reset(target->createMCRegInfo(triple));
    asm_info.reset(target->createMCAsmInfo(*registers, triple, options));
    instructions.reset(target->createMCInstrInfo());
    subtarget.reset(target->createMCSubtargetInfo(triple, cpu, ""));
    context = std::make_unique<llvm::MCContext>(llvm::Triple(triple), asm_info.get(), registers.get(),
                                                subtarget.get());
    disassembler.reset(target->createMCDisassembler(*subtarget, *context));
    printer.reset(target->createMCInstPrinter(llvm::Triple(triple), 0, *asm_info, *instructions, *registers));
  }

  static const llvm::Target* find_target() {
    std::string error;
    const llvm::Target* found = llvm::TargetRegistry::lookupTarget(triple, error);
    if (!found)
      throw std::runtime_error(error);
    return found;
  }

  std::string_view mnemonic(const llvm::MCInst& instruction) {
    std::string& name = names[instruction.getOpcode()];
    if (name.empty()) {
      name = printer->getMnemonic(&instruction).first;
      name.resize(std::min(name.size(), name.find_first_of(" \t\n")));
      drop_encoding_suffix(name);
    }
    return name;
  }

  // The numbers of a register's parts, out of its name: VGPR4_VGPR5, SGPR12_SGPR13_SGPR14_SGPR15, TTMP3 ...
  const std::vector<unsigned>& parts_of(unsigned reg) {
    const auto [entry, fresh] = parts.try_emplace(reg);
    if (fresh)
      for (std::string_view rest = registers->getName(reg); !rest.empty();) {
        const std::string_view part = rest.substr(0, rest.find('_'));
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        const auto number = [&] { return static_cast<unsigned>(std::stoul(std::string(part.substr(4)))); };
        if (part.size() < 5 || part[4] < '0' || part[4] > '9')
          break;
        if (part.starts_with("VGPR"))
          entry->second.push_back(vgpr(number()));
        else if (part.starts_with("SGPR"))
          entry->second.push_back(sgpr(number()));
        else if (part.starts_with("TTMP"))
          entry->second.push_back(ttmp(number()));
      }
    return entry->second;
  }

  std::set<unsigned> registers_in(const llvm::MCInst& instruction) {
    std::set<unsigned> result;
    for (const llvm::MCOperand& operand : instruction)
      if (operand.isReg() && operand.getReg())
        result.insert(parts_of(operand.getReg()).begin(), parts_of(operand.getReg()).end());
    return result;
  }

  const llvm::Target* target;
  std::unique_ptr<llvm::MCRegisterInfo> registers;
  std::unique_ptr<llvm::MCAsmInfo> asm_info;
  std::unique_ptr<llvm::MCInstrInfo> instructions;
  std::unique_ptr<llvm::MCSubtargetInfo> subtarget;
  std::unique_ptr<llvm::MCContext> context;
  std::unique_ptr<llvm::MCDisassembler> disassembler;
  std::unique_ptr<llvm::MCInstPrinter> printer;
  std::unordered_map<unsigned, std::string> names;           // by LLVM's opcode
  std::unordered_map<unsigned, std::vector<unsigned>> parts; // by LLVM's register
};

Disassembler::Disassembler() {
  initialise();
  context_ = LLVMCreateDisasmCPU(triple, cpu, nullptr, 0, nullptr, nullptr);
  decoder_ = std::make_unique<Decoder>();
}

std::optional<Decoded> Disassembler::decode(std::span<const std::uint32_t> words) {
  llvm::MCInst instruction;
  std::uint64_t size = 0;
  const llvm::ArrayRef<std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(words.data()),
                                           words.size() * 4);
  if (decoder_->disassembler->getInstruction(instruction, size, bytes, 0, llvm::nulls()) !=
      llvm::MCDisassembler::Success)
    return std::nullopt;
  return Decoded{decoder_->mnemonic(instruction), static_cast<unsigned>(size / 4),
                 decoder_->registers_in(instruction)};
}

Disassembler::~Disassembler() {
  LLVMDisasmDispose(context_);
}

std::optional<Disassembly> Disassembler::disassemble(std::span<const std::uint32_t> words) {
  char text[512];
  auto* bytes = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(words.data()));
  const std::size_t size = LLVMDisasmInstruction(context_, bytes, words.size() * 4, 0, text, sizeof text);
  if (size == 0)
    return std::nullopt;
  Disassembly result;
  result.dwords = static_cast<unsigned>(size / 4);
  result.text = text;
  const std::size_t begin = result.text.find_first_not_of(" \t");
  if (begin == std::string::npos)
    return std::nullopt;
  result.mnemonic = result.text.substr(begin, result.text.find_first_of(" \t\n", begin) - begin);
  drop_encoding_suffix(result.mnemonic);
  return result;
}

} // namespace emu::isa::test
