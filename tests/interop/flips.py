"""Alters each byte of a bundle's ledger part, one bit at a time, and wants verify.py to refuse: flips.py BUNDLE KEY..."""

import pathlib
import re
import sys

from verify import Wrong, parse_key, verify

NAMES = ["record.vcon.json", "entry.json", "record.tlog-proof"]
files = [(pathlib.Path(sys.argv[1]) / name).read_bytes() for name in NAMES]
keys = [parse_key(text) for text in sys.argv[2:]]
verify(*files, keys)

failed = False
for position, (name, whole) in enumerate(zip(NAMES, files)):
    if name == "record.vcon.json":
        # What is signed, and its signature; a digest says nothing of the unprotected header.
        places = [place for match in re.finditer(rb'"(?:protected|payload|signature)":"([^"]*)"', whole)
                  for place in range(*match.span(1))]
        places = places[:: max(1, len(places) // 1000)]
    else:
        places = range(len(whole))
    accepted = []
    for place in places:
        altered = list(files)
        altered[position] = whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :]
        try:
            verify(*altered, keys)
        except Wrong:
            continue
        accepted.append(place)
    failed |= bool(accepted)
    print("FAILED" if accepted else "ok", f"verify.py: {name}: {len(places)} altered bytes are refused",
          f"but for those at {accepted}" if accepted else "")
sys.exit(failed)
