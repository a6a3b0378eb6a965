#!/usr/bin/env python3
"""The driver's dynamic symbols are the names of exports.inc and nothing else.

usage: exports_test.py LIBRARY EXPORTS_INC
"""
import re
import subprocess
import sys

# The C++ library's and fmt's templates keep default visibility whatever the compiler is told, and are weak.
TOLERATED = re.compile(r'^_Z\w*(St|3fmt|N9__gnu_cxx)')
# Sanitizers mark their objects.
SANITIZER = re.compile(r'^__?(asan|ubsan|odr_asan|tsan)')


def exported(library):
    command = ['nm', '-D', '--defined-only', library]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in output.splitlines()]
    return {row[-1].split('@')[0]: row[-2] for row in rows}


def main():
    library, list_path = sys.argv[1:3]
    with open(list_path, encoding='utf-8') as list_file:
        expected = set(re.findall(r'^ABI_EXPORT\((\w+)\)', list_file.read(), re.MULTILINE))
    symbols = exported(library)
    functions = {name for name, kind in symbols.items() if kind in 'TWi'}
    missing = sorted(expected - functions)
    surplus = sorted(name for name, kind in symbols.items()
                     if name not in expected and kind != 'A' and not SANITIZER.match(name)
                     and not (kind in 'WVu' and TOLERATED.match(name)))
    for name in missing:
        print(f'not exported: {name}')
    for name in surplus:
        print(f'exported without need: {symbols[name]} {name}')
    print(f'{len(expected) - len(missing)} of {len(expected)} names exported, {len(surplus)} too many')
    return 1 if missing or surplus or not expected else 0


if __name__ == '__main__':
    sys.exit(main())
