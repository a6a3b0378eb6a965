"""Writes random C programs that mean the same on the host and on gfx1030.

usage: generate.py SEED COUNT HEADER

Each program is a function of two numbers and two pieces of memory of its own, with helper functions, structs,
arrays, loops, switches, integers of all widths and floats. No undefined behaviour: sums wrap in unsigned
types, shifts stay in range, divisors are not zero, indices are reduced, floats become integers only where
they fit. Of floating point only what IEEE 754 defines exactly. The header includes generated_prelude.h, which
says what the names mean on either side.
"""

import random
import sys

UNSIGNED = {8: "u8", 16: "u16", 32: "u32", 64: "u64"}
SIGNED = {8: "i8", 16: "i16", 32: "i32", 64: "i64"}
INTEGERS = list(UNSIGNED.values()) + list(SIGNED.values())
FLOATS = ["f32", "f64"]
TYPES = INTEGERS + ["u32", "u32", "i32", "u64"] + FLOATS  # some more often
MEMORY_WORDS, SHARED_WORDS = 16, 8  # of each program and thread


def bits_of(kind):
    return int(kind[1:])


def is_float(kind):
    return kind[0] == "f"


def wide(kind):
    """The unsigned type that sums of a type wrap in."""
    return "u64" if bits_of(kind) == 64 else "u32"


class Function:
    """One function: its variables, and what may be called from it."""

    def __init__(self, rng, name, parameters, result, callees, struct, is_program):
        self.rng, self.name, self.parameters, self.result = rng, name, parameters, result
        self.callees, self.struct, self.is_program = callees, struct, is_program
        self.variables = list(parameters)  # (type, name), all assignable
        self.arrays = []  # (type, name, length)
        self.lines = []
        self.loops = 0  # that surround the place
        self.counter = 0
        self.indent = 1

    # --- expressions

    def constant(self, kind):
        rng = self.rng
        if is_float(kind):
            some = rng.uniform(-1000, 1000)
            value = rng.choice([0.0, 1.0, -1.0, 0.5, 3.25, -1024.0, 1e10, 0.1, -7e-5, some])
            return f"(({kind}){value!r})"
        bits = bits_of(kind)
        edges = [0, 1, 2, 3, (1 << bits) - 1, 1 << (bits - 1)]
        value = rng.choice(edges + [rng.getrandbits(4), rng.getrandbits(bits)])
        return f"(({kind}){value}{'ul' if bits == 64 else 'u'})"

    def index(self, length):
        return f"({self.expression('u32', 1)} % {length}u)"

    def leaf(self, kind):
        rng = self.rng
        choice = rng.random()
        if choice < 0.15:
            return self.constant(kind)
        if choice < 0.25 and self.arrays:
            element, name, length = rng.choice(self.arrays)
            return self.converted(kind, element, f"{name}[{self.simple_index(length)}]")
        if choice < 0.35:
            member_kind, member = rng.choice(self.struct)
            return self.converted(kind, member_kind, f"record.{member}")
        if choice < 0.45 and self.is_program:
            which, words = rng.choice([("memory", MEMORY_WORDS), ("shared", SHARED_WORDS)])
            return self.converted(kind, "u32", f"{which}[{self.simple_index(words)}]")
        if choice < 0.5:
            return self.converted(kind, "u32", f"table[{self.simple_index(16)}]")
        from_kind, name = rng.choice(self.variables)
        return self.converted(kind, from_kind, name)

    def simple_index(self, length):
        integers = [name for kind, name in self.variables if not is_float(kind)]
        if not integers or self.rng.random() < 0.3:
            return str(self.rng.randrange(length))
        return f"(u32){self.rng.choice(integers)} % {length}u"

    def converted(self, to, kind, text):
        if to == kind:
            return text
        if is_float(kind) and not is_float(to):
            return f"({to})whole_{kind}({text})"
        return f"(({to}){text})"

    def expression(self, kind, depth):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.15:
            return self.leaf(kind)
        choice = rng.random()
        if choice < 0.08:
            a, b = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
            return f"({self.condition(depth - 1)} ? {a} : {b})"
        if choice < 0.16:
            other = rng.choice(TYPES)
            return self.converted(kind, other, self.expression(other, depth - 1))
        if choice < 0.22 and self.callees and self.loops < 2:
            return self.call(kind, depth)
        return self.float_operation(kind, depth) if is_float(kind) else self.integer_operation(kind, depth)

    def float_operation(self, kind, depth):
        a, b = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
        choice = self.rng.random()
        if choice < 0.85:
            operation = self.rng.choice("+-*+-*/")
            return f"difference_{kind}({a}, {b})" if operation == "-" else f"({a} {operation} {b})"
        if choice < 0.95:
            return f"{'FMAF' if kind == 'f32' else 'FMA'}({a}, {b}, {self.leaf(kind)})"
        return f"(-{a})"

    def integer_operation(self, kind, depth):
        rng, bits, sum_type = self.rng, bits_of(kind), wide(kind)
        a, b = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
        choice = rng.random()
        if choice < 0.35:
            return f"(({kind})(({sum_type}){a} {rng.choice('+-*')} ({sum_type}){b}))"
        if choice < 0.6:
            return f"(({kind})({a} {rng.choice('&|^')} {b}))"
        if choice < 0.78:
            amount = f"({self.expression('u32', depth - 2)} & {bits - 1}u)"
            if rng.random() < 0.5:
                return f"(({kind})(({sum_type}){a} << {amount}))"
            return f"(({kind})({a} >> {amount}))"
        if choice < 0.88:
            divisor = f"({kind})(({UNSIGNED[bits]}){b} >> 1 | 1)" if kind[0] == "i" else f"({kind})({b} | 1)"
            operation = rng.choice("/%")
            if kind in ("u32", "u64"):
                return f"{'quotient' if operation == '/' else 'remainder'}_{kind}({a}, {divisor})"
            return f"(({kind})({a} {operation} {divisor}))"
        if choice < 0.93:
            return f"(({kind})~{a})"
        one = f"(u32){a}" if bits < 64 else f"(u64){a}"
        suffix = "" if bits < 64 else "l"
        return rng.choice([
            f"(({kind})__builtin_popcount{suffix}({one}))",
            f"(({kind})__builtin_clz{suffix}({one} | 1))",
            f"(({kind})__builtin_ctz{suffix}({one} | 1))",
            f"(({kind})rotated_{sum_type}({one}, {rng.randrange(1, 31)}))",
        ])

    def condition(self, depth):
        rng = self.rng
        if depth > 0 and rng.random() < 0.25:
            return f"({self.condition(depth - 1)} {rng.choice(['&&', '||'])} {self.condition(depth - 1)})"
        kind = rng.choice(TYPES)
        a, b = self.expression(kind, depth - 1), self.expression(kind, depth - 1)
        return f"({a} {rng.choice(['<', '>', '<=', '>=', '==', '!='])} {b})"

    def call(self, kind, depth):
        callee = self.rng.choice(self.callees)
        arguments = ", ".join(self.expression(k, depth - 2) for k, _ in callee.parameters)
        record = self.rng.choice(["record", f"{self.struct_name()}_from({self.leaf('u32')})"])
        return self.converted(kind, callee.result, f"{callee.name}({arguments}, {record})")

    def struct_name(self):
        return "struct_" + self.name.split("_")[1]

    # --- statements

    def write(self, text):
        self.lines.append("  " * self.indent + text)

    def block(self, depth, count):
        self.indent += 1
        for _ in range(count):
            self.statement(depth - 1)
        self.indent -= 1

    def assign(self):
        rng = self.rng
        choice = rng.random()
        if choice < 0.2 and self.arrays:
            kind, name, length = rng.choice(self.arrays)
            target = f"{name}[{self.simple_index(length)}]"
        elif choice < 0.35:
            kind, member = rng.choice(self.struct)
            target = f"record.{member}"
        elif choice < 0.5 and self.is_program:
            name, words = rng.choice([("memory", MEMORY_WORDS), ("shared", SHARED_WORDS)])
            kind, target = "u32", f"{name}[{self.simple_index(words)}]"
        else:
            kind, target = rng.choice(self.variables)
        self.write(f"{target} = {self.expression(kind, rng.choice([2, 2, 3]))};")

    def statement(self, depth):
        rng = self.rng
        choice = rng.random()
        if depth <= 0 or choice < 0.55:
            self.assign()
        elif choice < 0.72:
            self.write(f"if ({self.condition(2)}) {{")
            self.block(depth, rng.randrange(1, 3))
            if rng.random() < 0.5:
                self.write("} else {")
                self.block(depth, rng.randrange(1, 3))
            self.write("}")
        elif choice < 0.87 and self.loops < 2:
            self.loop(depth)
        else:
            self.switch(depth)

    def loop(self, depth):
        rng = self.rng
        self.counter += 1
        i = f"k{self.counter}"
        limit = rng.choice([str(rng.randrange(1, 7)), f"({self.leaf('u32')} & 7)"])
        self.write(f"for (u32 {i} = 0, end = {limit}; {i} < end; ++{i}) {{")
        self.loops += 1
        self.block(depth, rng.randrange(1, 3))
        if rng.random() < 0.4:
            self.indent += 1
            self.write(f"if ({self.condition(1)})")
            self.write(f"  {rng.choice(['break', 'continue'])};")
            self.indent -= 1
            self.block(depth, 1)
        self.loops -= 1
        self.write("}")

    def switch(self, depth):
        rng = self.rng
        cases = rng.randrange(2, 6)
        self.write(f"switch ({self.expression('u32', 2)} % {cases + 1}u) {{")
        for case in range(cases):
            self.write(f"case {case}:")
            self.block(depth, 1)
            if rng.random() < 0.75:
                self.write("  break;")
        if rng.random() < 0.5:
            self.write("default:")
            self.block(depth, 1)
        self.write("}")

    # --- the whole

    def text(self):
        rng = self.rng
        parameters = ", ".join(f"{kind} {name}" for kind, name in self.parameters)
        if self.is_program:
            head = f"static u32 {self.name}(u32 x, u32 y, GLOBAL u32* memory, LOCAL u32* shared) {{"
            self.write(f"struct {self.struct_name()} record = {self.struct_name()}_from(x ^ y);")
        else:
            inlined = rng.choice(["NOINLINE ", ""])
            record = f"struct {self.struct_name()} record"
            head = f"static {inlined}{self.result} {self.name}({parameters}, {record}) {{"
        for n in range(rng.randrange(2, 6)):
            kind = rng.choice(TYPES)
            text = self.expression(kind, 2)
            self.write(f"{kind} v{n} = {text};")
            self.variables.append((kind, f"v{n}"))
        for n in range(rng.randrange(0, 3)):
            kind, length = rng.choice(TYPES), rng.choice([4, 6, 8])
            self.write(f"{kind} a{n}[{length}];")
            self.write(f"for (u32 i = 0; i < {length}; ++i)")
            value = f"(table[i] + (u32)i * {rng.randrange(1, 1000)}u)"
            self.write(f"  a{n}[i] = {self.converted(kind, 'u32', value)};")
            self.arrays.append((kind, f"a{n}", length))
        for _ in range(rng.randrange(2, 5) if self.is_program else rng.randrange(1, 3)):
            self.statement(2)
        if self.is_program:
            self.finish()
        else:
            self.write(f"return {self.expression(self.result, 2)};")
        return "\n".join([head] + self.lines + ["}"])

    def finish(self):
        """Everything that there is goes into the result."""
        self.write("u32 result = 17;")
        values = self.variables + [(k, f"record.{m}") for k, m in self.struct]
        for kind, name in values:
            self.write(f"result = result * 31 + hash_{kind}({name});")
        for kind, name, length in self.arrays:
            self.write(f"for (u32 i = 0; i < {length}; ++i)")
            self.write(f"  result = result * 31 + hash_{kind}({name}[i]);")
        self.write(f"result = hash_memory(result, memory, {MEMORY_WORDS});")
        self.write(f"return hash_shared(result, shared, {SHARED_WORDS});")


def program(rng, number):
    struct = [(rng.choice(TYPES), f"m{i}") for i in range(rng.randrange(2, 6))]
    name = f"struct_{number}"
    parts = [f"struct {name} {{"] + [f"  {kind} {member};" for kind, member in struct] + ["};"]
    parts += [f"static struct {name} {name}_from(u32 seed) {{", f"  struct {name} r;"]
    for i, (kind, member) in enumerate(struct):
        parts.append(f"  r.{member} = ({kind})(seed >> {i} ^ {rng.getrandbits(16)}u);")
    parts += ["  return r;", "}"]
    callees = []
    for n in range(rng.randrange(0, 3)):
        parameters = [(rng.choice(TYPES), f"p{i}") for i in range(rng.randrange(1, 4))]
        # A helper calls none: calls of calls in loops would take for ever.
        helper = Function(rng, f"helper_{number}_{n}", parameters, rng.choice(TYPES), [], struct, False)
        parts.append(helper.text())
        callees.append(helper)
    main = Function(rng, f"program_{number}", [("u32", "x"), ("u32", "y")], "u32", callees, struct, True)
    parts.append(main.text())
    return "\n".join(parts)


def main():
    seed, count, path = int(sys.argv[1], 0), int(sys.argv[2]), sys.argv[3]
    rng = random.Random(seed)
    with open(path, "w", encoding="ascii") as out:
        out.write(f"/* {count} programs, seed {seed} */\n#include \"generated_prelude.h\"\n")
        for number in range(count):
            out.write(program(rng, number) + "\n")
        out.write("#define PROGRAMS(X) \\\n")
        out.write(" \\\n".join(f"  X({number})" for number in range(count)) + "\n")


if __name__ == "__main__":
    main()
