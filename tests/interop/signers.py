"""A root, keys that it certified, and `affiant vcon` run on them: what jwe_python.py, vcon_python.py and python_vcon.py share."""

import datetime
import pathlib
import subprocess
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

UUID = "019f15a6-a752-826f-b9a2-279e0d16bc46"
VCON = (f'{{"vcon":"0.4.0","uuid":"{UUID}","created_at":"2026-07-01T12:00:00.000+00:00","parties":[{{"name":"Grüße"}}],'
        '"dialog":[],"analysis":[],"attachments":[]}')
# What each key signs with: the options, and the alg.
SIGNING = [("rsa", [], "RS256"), ("rsa", ["--algorithm", "PS256"], "PS256"), ("p256", [], "ES256"), ("ed25519", [], "EdDSA")]


class Signers:
    def __init__(self, affiant):
        self.affiant = affiant
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        self.write("vcon.json", VCON)
        root_key = ec.generate_private_key(ec.SECP256R1())
        root_rsa = rsa.generate_private_key(65537, 2048)
        for name, key in [("root", root_key), ("root-rsa", root_rsa)]:
            self.write(f"{name}.pem", certificate(name, key, name, key, True).public_bytes(Encoding.PEM))
        # python-vcon knows RSA alone, in the chain too, and wants an authority below the root.
        between_key = rsa.generate_private_key(65537, 2048)
        between = certificate("between", between_key, "root-rsa", root_rsa, True).public_bytes(Encoding.PEM)
        self.write("between.pem", between)
        made = {"rsa": rsa.generate_private_key(65537, 2048), "p256": ec.generate_private_key(ec.SECP256R1()),
                "p384": ec.generate_private_key(ec.SECP384R1()), "ed25519": ed25519.Ed25519PrivateKey.generate()}
        self.keys = made
        for name, key in made.items():
            issuer, issuer_key, above = ("between", between_key, between) if name == "rsa" else ("root", root_key, b"")
            leaf = certificate(name, key, issuer, issuer_key, False)
            self.write(f"{name}.pem", leaf.public_bytes(Encoding.PEM) + above)
            self.write(f"{name}.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            self.write(f"{name}.pub", self.public_pem(name))

    def public_pem(self, name):
        return self.keys[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def path(self, name):
        return str(self.folder / name)

    def write(self, name, content):
        (self.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def run(self, *arguments):
        """The exit code and the output of `affiant vcon`."""
        done = subprocess.run([self.affiant, "vcon", *arguments], cwd=self.folder, capture_output=True, timeout=60)
        return done.returncode, done.stdout

    def made(self, *arguments):
        """The output of `affiant vcon`, which has to end well."""
        done = subprocess.run([self.affiant, "vcon", *arguments], cwd=self.folder, capture_output=True, timeout=60)
        if done.returncode != 0:
            raise SystemExit(f"affiant vcon {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode()

    def signed(self, key, *options, document="vcon.json"):
        return self.made("sign", document, "--key", f"{key}.key", "--cert", f"{key}.pem", *options)


def certificate(name, key, issuer, issuer_key, authority):
    def common_name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    begin = datetime.datetime(2020, 1, 1)
    builder = x509.CertificateBuilder(common_name(issuer), common_name(name), key.public_key(), x509.random_serial_number(),
                                      begin, begin + datetime.timedelta(days=20000))
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def flip(text):
    """Another character in the middle of a base64url text: other bits, the same form."""
    middle = len(text) // 2
    return text[:middle] + ("B" if text[middle] == "A" else "A") + text[middle + 1 :]
