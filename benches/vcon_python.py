"""What PyPI's vcon does in a second on one core: vcon_python.py SECONDS FILE... prints JSON. Run by benches/vcon.rs."""

import datetime
import json
import logging
import pathlib
import sys
import time
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402
from vcon import Vcon  # noqa: E402
from vcon.dialog import Dialog  # noqa: E402
from vcon.party import Party  # noqa: E402

seconds = float(sys.argv[1])
texts = [pathlib.Path(name).read_text() for name in sys.argv[2:]]
private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
public = private.public_key()


def rate(work):
    work()
    done, began = 0, time.perf_counter()
    while True:
        work()
        done += 1
        elapsed = time.perf_counter() - began
        if elapsed >= seconds:
            return done / elapsed


def build():
    vcon = Vcon.build_new()
    for name, tel in [("Dana", "+12025550100"), ("Robin", "+12025550101")]:
        vcon.add_party(Party(name=name, tel=tel))
    now = datetime.datetime.now(datetime.timezone.utc)
    for turn in range(10):
        said = "About as many words as people say in a turn of a call."
        vcon.add_dialog(Dialog(type="text", start=now, parties=[turn % 2], mediatype="text/plain", body=said, encoding="none"))
    return vcon.to_json()


def of_all(work):
    return lambda: [work(one) for one in inputs]


def signed(text):
    vcon = Vcon.build_from_json(text)
    vcon.sign(private)
    return vcon


rates = {"build": rate(build)}
inputs = texts
rates["parse"] = rate(of_all(Vcon.build_from_json)) * len(texts)
inputs = [Vcon.build_from_json(text) for text in texts]
rates["validate"] = rate(of_all(Vcon.is_valid)) * len(texts)
inputs = texts
rates["sign"] = rate(of_all(signed)) * len(texts)
inputs = [json.dumps(signed(text).vcon_dict) for text in texts]
assert all(Vcon.build_from_json(text).verify(public) for text in inputs)
rates["verify"] = rate(of_all(lambda text: Vcon.build_from_json(text).verify(public))) * len(texts)
print(json.dumps(rates))
