#!/usr/bin/env python3
"""Writes docs/api-status.md: which functions of the driver API work, by chapter.

The functions and their chapters come from the prototypes in include/, those that only return
CUDA_ERROR_NOT_SUPPORTED from shim/cuda/unimplemented.inc.

usage: api_status.py [--check]     --check only tells whether the document is current
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = ['cuda.h', 'cuda_shim_prototypes.h', 'cudaProfiler.h', 'cudaGL.h', 'cuda_shim_exports.h']
# Older and per-thread names stand for functions that are listed already.
CHAPTERS_LEFT_OUT = {'Before 3.2: addresses and sizes of 32 bits', 'The same arguments as today',
                     'The per-thread default stream'}
DOCUMENT = ROOT / 'docs/api-status.md'
UNIMPLEMENTED = ROOT / 'shim/cuda/unimplemented.inc'


def read_chapters():
    """Chapter title -> exported names, in the order of the headers."""
    chapters = {}
    for header in HEADERS:
        text = (ROOT / 'include' / header).read_text(encoding='utf-8')
        pattern = r'/\* == (?P<title>.+?) == \*/|^CUresult\s+(?:CUDAAPI\s+)?(?:\w+\()?(?P<name>cu\w+)\)?\('
        title = None
        for match in re.finditer(pattern, text, re.MULTILINE):
            title = match['title'] or title
            if match['name'] and title not in CHAPTERS_LEFT_OUT:
                chapters.setdefault(title, []).append(match['name'])
    return chapters


def read_unimplemented():
    text = UNIMPLEMENTED.read_text(encoding='utf-8')
    return set(re.findall(r'^\s*\w+\(\s*(cu\w+)', text, re.MULTILINE))


def plain(name):
    return re.sub(r'_v\d$', '', name)


def render(chapters, unimplemented):
    lines = ['# State of the API', '',
             'Written by `tools/api_status.py`. A function counts as implemented when it does its work within',
             'the limits that the README names; the others return `CUDA_ERROR_NOT_SUPPORTED`.', '',
             '| chapter | functions | implemented |', '|---|---:|---:|']
    total = done = 0
    for title, names in chapters.items():
        missing = [name for name in names if name in unimplemented]
        total += len(names)
        done += len(names) - len(missing)
        lines.append(f'| {title} | {len(names)} | {len(names) - len(missing)} |')
    lines.append(f'| **all** | **{total}** | **{done}** |')
    for title, names in chapters.items():
        lines += ['', f'## {title}']
        for heading, wanted in (('Implemented', False), ('Not supported', True)):
            chosen = [f'`{plain(name)}`' for name in names if (name in unimplemented) == wanted]
            if chosen:
                lines += ['', f'{heading}: {", ".join(chosen)}.']
    return '\n'.join(lines) + '\n'


def main():
    chapters = read_chapters()
    unimplemented = read_unimplemented()
    unknown = unimplemented - {name for names in chapters.values() for name in names}
    # The table may hold the older and per-thread names of a function as well.
    exports = (ROOT / 'tests/abi/exports.inc').read_text(encoding='utf-8')
    unknown -= set(re.findall(r'ABI_EXPORT\((\w+)\)', exports))
    if unknown:
        print(f'{UNIMPLEMENTED.name} names what no header declares: {", ".join(sorted(unknown))}')
        return 1
    text = render(chapters, unimplemented)
    if '--check' not in sys.argv[1:]:
        DOCUMENT.write_text(text, encoding='utf-8')
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text(encoding='utf-8') == text:
        return 0
    print('docs/api-status.md is not current: run tools/api_status.py')
    return 1


if __name__ == '__main__':
    sys.exit(main())
