#!/usr/bin/env python3
"""Turns a file into a C++ header with one constant array: embed.py [--text] NAME INPUT OUTPUT.

With --text the array is of char and ends with a zero byte.
"""

import sys

arguments = sys.argv[1:]
text = arguments[0] == "--text"
name, source, target = arguments[1:] if text else arguments
data = open(source, "rb").read() + (b"\0" if text else b"")
element = "char" if text else "unsigned char"
lines = [", ".join(f"{byte:#04x}" for byte in data[i : i + 16]) for i in range(0, len(data), 16)]
with open(target, "w", encoding="ascii") as out:
    out.write(f"#pragma once\n\nalignas(16) inline constexpr {element} {name}[] = {{\n")
    out.write(",\n".join(lines))
    out.write("};\n")
