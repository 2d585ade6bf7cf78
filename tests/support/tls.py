"""Certificates of authorities of a test's own, made with openssl."""

import subprocess
from pathlib import Path


class Authority:
    """A certificate authority with its files in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.certificate = folder / f"{name}.crt"
        self._key = folder / f"{name}.key"
        self._folder = folder
        _openssl(
            *("req", "-x509", "-days", "2", "-subj", f"/CN={name}"),
            *_new_key(self._key),
            *("-out", str(self.certificate)),
        )

    def sign(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Return the certificate and key of a server that is reached as `hosts`."""
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        kinds = ("IP" if host[0].isdigit() else "DNS" for host in hosts)
        names = ",".join(f"{kind}:{host}" for kind, host in zip(kinds, hosts, strict=True))
        _openssl(
            *("req", "-x509", "-days", "2", "-subj", f"/CN={name}", *_new_key(key)),
            *("-CA", str(self.certificate), "-CAkey", str(self._key)),
            *("-addext", f"subjectAltName={names}", "-addext", "basicConstraints=CA:FALSE"),
            *("-out", str(certificate)),
        )
        return certificate, key


def _new_key(path: Path) -> tuple[str, ...]:
    curve = ("-pkeyopt", "ec_paramgen_curve:prime256v1")
    return ("-newkey", "ec", *curve, "-nodes", "-keyout", str(path))


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
