"""Runs a conserver's own scitt link against the compatibility log: conserver.py LINKS URL KEY. LINKS is the folder that holds its
links; what it needs of the conserver beside them (a vCon out of Redis, a log, a counter) is put in its place here."""

import importlib
import sys
import types

links, url, key_file = sys.argv[1:]
kept = {}


class Vcon:
    hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    parties = [{"tel": "+12025550123"}, {"tel": "+12025550124"}, {"name": "Robin"}]

    def add_analysis(self, **analysis):
        kept.update(analysis)


class Redis:
    def get_vcon(self, _uuid):
        return Vcon()

    def store_vcon(self, _vcon):
        pass


class Quiet:
    def __getattr__(self, _name):
        return lambda *_arguments, **_names: None


for name, members in {
    "lib": {},
    "lib.vcon_redis": {"VconRedis": Redis},
    "lib.logging_utils": {"init_logger": lambda _name: Quiet()},
    "lib.metrics": {"increment_counter": lambda *_arguments, **_names: None},
    "links": {"__path__": [links]},
}.items():
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
link = importlib.import_module("links.scitt")


def run(operation):
    options = {"scrapi_url": url, "signing_key_path": key_file, "vcon_operation": operation}
    return link.run("0190a000-0000-8000-8000-000000000001", "scitt", options)


# The link verifies each receipt itself, and raises where one does not hold.
run("vcon_created")
first = kept["body"]
ok = len(first) == 2 and all(one["cose_receipt"] and one["entry_id"].isdigit() for one in first)
print("ok conserver: its link registers and verifies" if ok else f"FAILED conserver: {first}")
run("vcon_created")
again = [one["entry_id"] for one in kept["body"]] == [one["entry_id"] for one in first]
print("ok conserver: again is the same entry" if again else "FAILED conserver: another entry")
run("vcon_enhanced")
other = not {one["entry_id"] for one in kept["body"]} & {one["entry_id"] for one in first}
print("ok conserver: another operation is another entry" if other else "FAILED conserver: the same entry")
