"""Looks a name up as C programs do (getaddrinfo), connects to a port of each address, and prints a
line for each: ADDRESS and `ok` or the name of the error. A name without one is `failed` and the name of
the error.
"""

import errno
import socket
import sys

name, port = sys.argv[1], int(sys.argv[2])
try:
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
except socket.gaierror as error:
    names = [code for code in dir(socket) if code.startswith("EAI_")]
    print("failed", *[code for code in names if getattr(socket, code) == error.errno])
    sys.exit()
for family, kind, protocol, _, peer in found:
    with socket.socket(family, kind, protocol) as stream:
        stream.settimeout(5)
        failure = stream.connect_ex(peer)
    print(peer[0], errno.errorcode[failure] if failure else "ok")
