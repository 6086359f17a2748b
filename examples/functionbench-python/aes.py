"""Encrypts text with AES-128 in counter mode (FIPS 197, SP 800-38A), in Python only."""

import time


def _times2(a):
    return (a << 1) ^ (0x11B if a & 0x80 else 0)


def _sbox():
    box, p, q = [0] * 256, 1, 1
    while True:
        p = p ^ _times2(p)  # times 3
        q ^= q << 1  # divided by 3
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        if q & 0x80:
            q ^= 0x09
        rotations = q
        for shift in range(1, 5):
            rotations ^= (q << shift | q >> (8 - shift)) & 0xFF
        box[p] = rotations ^ 0x63
        if p == 1:
            box[0] = 0x63
            return box


SBOX = _sbox()


def expand(key):
    """Returns the eleven round keys of a key of 16 bytes."""
    words, rcon = [list(key[i:i + 4]) for i in range(0, 16, 4)], 1
    for i in range(4, 44):
        word = words[-1]
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = _times2(rcon) & 0xFF
        words.append([a ^ b for a, b in zip(word, words[-4])])
    return [sum(words[i:i + 4], []) for i in range(0, 44, 4)]


def encrypt_block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for round_, key in enumerate(keys[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]  # SubBytes and ShiftRows
        if round_ < 10:
            mixed = []
            for c in range(0, 16, 4):
                column = state[c:c + 4]
                every = column[0] ^ column[1] ^ column[2] ^ column[3]
                mixed += [column[i] ^ every ^ _times2(column[i] ^ column[(i + 1) % 4]) & 0xFF for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, key)]
    return bytes(state)


def counter_mode(key, nonce, data):
    """Encrypts, and decrypts what it has encrypted."""
    keys, out = expand(key), bytearray()
    for i in range(0, len(data), 16):
        stream = encrypt_block(keys, nonce + (i // 16).to_bytes(8, "big"))
        out += bytes(a ^ b for a, b in zip(data[i:i + 16], stream))
    return bytes(out)


def lambda_handler(event, context):
    n = int(event.get("n", 1024))
    key, nonce, text = bytes(range(16)), bytes(8), bytes(i % 251 for i in range(n))
    begun = time.perf_counter()
    secret = counter_mode(key, nonce, text)
    right = secret != text and counter_mode(key, nonce, secret) == text
    # The example of FIPS 197, appendix C.1.
    known = encrypt_block(expand(key), bytes.fromhex("00112233445566778899aabbccddeeff")).hex()
    right = right and known == "69c4e0d86a7b0430d8cdb78070b4c55a"
    return {"n": n, "right": right, "latency": time.perf_counter() - begun}
