"""pyftpdlib as the FTP server of a Bambu printer: TLS from the first byte, one user."""

import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer

port, folder, certificate, key, code = sys.argv[1:]


class Implicit(TLS_FTPHandler):
    certfile, keyfile = certificate, key
    tls_control_required = tls_data_required = True
    authorizer = DummyAuthorizer()
    # a hub that tries codes is told at once
    auth_failed_timeout = 0

    def handle(self):
        self.secure_connection(self.ssl_context)

    def handle_ssl_established(self):
        super(TLS_FTPHandler, self).handle()

    def handle_ssl_failed(self):
        self.close()


Implicit.authorizer.add_user("bblp", code, folder, perm="elradfmwMT")
FTPServer(("127.0.0.1", int(port)), Implicit).serve_forever()
