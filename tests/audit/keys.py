"""Public keys, key ids and signatures: PROTOCOL.md, sections 1.2 and 1.3."""
import hashlib
import os
import re

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

ED25519, ECDSA_P256 = 1, 2      # as in KeyAlgorithm
NAMES = {'ed25519': ED25519, 'ecdsa-p256-sha256': ECDSA_P256}
NAME = re.compile(r'[a-z0-9][a-z0-9._-]{0,62}')


def sha256(*pieces):
    return hashlib.sha256(b''.join(pieces)).digest()


def labelled(label, *pieces):
    """SHA-256(label || NUL || pieces): what ids and section hashes are."""
    return sha256(label.encode('ascii'), b'\0', *pieces)


def pre_authentication_encoding(payload_type, body):
    kind = payload_type.encode('utf-8')
    return b'DSSEv1 %d %s %d %s' % (len(kind), kind, len(body), body)


class PublicKey:
    """One key with its algorithm, which comes from the key, never from a message."""

    def __init__(self, der):
        self._key = serialization.load_der_public_key(der)
        if isinstance(self._key, ed25519.Ed25519PublicKey):
            self.algorithm = ED25519
        elif isinstance(self._key, ec.EllipticCurvePublicKey) and isinstance(self._key.curve, ec.SECP256R1):
            self.algorithm = ECDSA_P256
        else:
            raise ValueError('neither Ed25519 nor P-256')
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        if self._key.public_bytes(serialization.Encoding.DER, spki) != der:
            raise ValueError('the key is not in DER as RFC 5280 has it')
        self.id = sha256(der)

    def raw_ed25519(self):
        return self._key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def signed(self, signature, message):
        """Whether this is this key's signature over `message` as it is."""
        try:
            if self.algorithm == ED25519:
                self._key.verify(signature, message)
            else:
                self._key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def signed_statement(self, signed):
        """Whether a Signed message names this key and its signature is good."""
        return signed.key_id == self.id and self.signed(
            signed.signature, pre_authentication_encoding(signed.type, signed.body))


def _key_of(path):
    with open(path, 'rb') as file:
        data = file.read(1 << 16)
    try:
        if b'-----BEGIN' in data:
            key = serialization.load_pem_public_key(data)
            data = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return PublicKey(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError('%s holds no public key: %s' % (path, error)) from None


class Keys:
    """The public keys that somebody trusts, as `ledgerline-collector keys -o DIR` writes them: collector.pem,
    operators/NAME.pem, devices/TENANT.DEVICE.pem; of a key that was replaced the first 8 digits of its id stand before `.pem`.
    """

    def __init__(self, folder):
        self.collector = _key_of(os.path.join(folder, 'collector.pem'))
        self._operators = _keys_by_name(os.path.join(folder, 'operators'))
        self._devices = _keys_by_name(os.path.join(folder, 'devices'))

    def operator(self, name):
        """All keys that a name has had."""
        return self._operators.get(name, [])

    def device(self, tenant, device):
        return self._devices.get(tenant + '.' + device, [])


def _keys_by_name(folder):
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        key = _key_of(os.path.join(folder, name))
        owner = re.sub(r'\.pem$', '', name)
        replaced = '.' + key.id.hex()[:8]
        found.setdefault(owner[:-len(replaced)] if owner.endswith(replaced) else owner, []).append(key)
    return found
