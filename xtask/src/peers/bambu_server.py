"""What plays a Bambu printer for drivers.py: mosquitto, an FTP server, and robot.py."""

import contextlib, io, os, re, socket, ssl, subprocess, sys, zipfile

from peer import Skip, free_port, listens
from robot import Robot
from servers import Server, dwells

CODE = "24681357"


class Bambu(Server):
    """mosquitto and an FTP server; what the printer itself does is done by robot.py."""

    ending = ".gcode.3mf"

    def __init__(self, stand, ftp, deltas):
        # Of an X1C, of a P1S
        self.serial = "01P00A000000001" if deltas else "00M00A000000001"
        name = "bambu-" + ftp.name
        super().__init__(stand, name, "bambu", free_port())
        self.ftp, self.deltas, self.secret, self.robot = ftp, deltas, CODE, None
        self.files = self.path("card")
        os.makedirs(os.path.join(self.files, "cache"))
        self.ftp_port, self.plain_port = free_port(), free_port()
        self.words += ["--serial", self.serial, "--files-port", str(self.ftp_port)]
        self.body.update(serial_number=self.serial, files_port=self.ftp_port)
        self.long = "long.gcode.3mf", project(120)
        self.short = "short.gcode.3mf", project(6)
        self.passwords = self.path("passwords")
        command = ["mosquitto_passwd", "-b", "-c", self.passwords, "bblp", CODE]
        subprocess.run(command, check=True, capture_output=True)
        self.certify()

    def shown(self, name):
        return name.removesuffix(self.ending)

    def certify(self):
        """As its maker does: the name is the serial number."""
        self.key, self.certificate = self.path("key.pem"), self.path("certificate.pem")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]
        command += ["-subj", "/CN=" + self.serial, "-keyout", self.key, "-out", self.certificate]
        subprocess.run(command, check=True, capture_output=True)

    def start(self):
        config = self.write("mosquitto.conf", """
user root
sys_interval 1
per_listener_settings true
persistence false
listener %d 127.0.0.1
certfile %s
keyfile %s
password_file %s
allow_anonymous false
listener %d 127.0.0.1
allow_anonymous true
""" % (self.port, self.certificate, self.key, self.passwords, self.plain_port))
        child = self.run("mosquitto", ["mosquitto", "-c", config])
        listens(self.plain_port, child)
        listens(self.port, child)
        self.ftp.start(self)
        self.robot = Robot(self.serial, self.plain_port, self.files, self.deltas)

    def stop(self):
        if self.robot:
            self.robot.stop()
            self.robot = None
        super().stop()


class Vsftpd:
    """It knows users of the system only: so it has one of its own, in its own view of /etc."""

    name = "vsftpd"

    def __init__(self, stand):
        if os.geteuid():
            raise Skip("vsftpd needs root")

    def start(self, server):
        number = 64000
        code = ["openssl", "passwd", "-6", server.secret]
        code = subprocess.run(code, check=True, capture_output=True, text=True).stdout.strip()
        home = "bblp:x:%d:%d::%s:/bin/sh\n" % (number, number, server.files)
        users = server.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n"
                             "nobody:x:65534:65534::/nonexistent:/bin/false\n"
                             "ftp:x:65533:65534::/nonexistent:/bin/false\n" + home)
        shadow = server.write("etc/shadow", "bblp:%s:20000:0:99999:7:::\n" % code, 0o600)
        rules = server.write("etc/pam/farhub", "auth required pam_unix.so\n"
                             "account required pam_unix.so\nsession required pam_permit.so\n")
        for folder in (server.files, os.path.join(server.files, "cache")):
            os.chown(folder, number, number)
        empty = server.path("empty", "")
        os.chmod(empty, 0o555)
        config = server.write("vsftpd.conf", """
listen=YES
listen_address=127.0.0.1
listen_port=%d
background=NO
anonymous_enable=NO
local_enable=YES
write_enable=YES
local_umask=022
check_shell=NO
chroot_local_user=YES
allow_writeable_chroot=YES
secure_chroot_dir=%s
pam_service_name=farhub
ssl_enable=YES
implicit_ssl=YES
require_ssl_reuse=YES
force_local_logins_ssl=YES
force_local_data_ssl=YES
rsa_cert_file=%s
rsa_private_key_file=%s
vsftpd_log_file=%s
xferlog_enable=YES
log_ftp_protocol=YES
xferlog_std_format=NO
""" % (server.ftp_port, empty.rstrip("/"), server.certificate, server.key, server.log("ftp")))
        binds = [(users, "/etc/passwd"), (shadow, "/etc/shadow"),
                 (os.path.dirname(rules), "/etc/pam.d")]
        script = " && ".join(["mount --bind %s %s" % bind for bind in binds])
        script += " && exec vsftpd " + config
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        child = server.run("vsftpd", command)
        listens(server.ftp_port, child)
        self.demands_the_session(server)

    def demands_the_session(self, server):
        """Else it would show nothing that we are let in."""
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", server.ftp_port), 10)) as link:
            lines = link.makefile("r")

            def says(word):
                link.sendall(word.encode() + b"\r\n")
                return lines.readline()

            assert lines.readline().startswith("220")
            says("USER bblp")
            assert says("PASS " + server.secret).startswith("230")
            says("PBSZ 0"), says("PROT P")
            high, low = re.search(r"(\d+),(\d+)\)", says("PASV")).groups()
            link.sendall(b"LIST\r\n")
            data = socket.create_connection(("127.0.0.1", int(high) * 256 + int(low)), 10)
            assert lines.readline().startswith("150")
            with contextlib.suppress(OSError), tls.wrap_socket(data) as data:
                data.recv(1)
            assert lines.readline().startswith("522"), "it takes data of another TLS session"


class Pyftpdlib:
    name = "pyftpdlib"

    def __init__(self, stand):
        pass

    def start(self, server):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ftpd.py")
        command = [sys.executable, script, str(server.ftp_port), server.files, server.certificate]
        child = server.run("ftpd", [*command, server.key, server.secret])
        listens(server.ftp_port, child)


def project(seconds):
    """A sliced project, of which the robot reads how long it takes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as project:
        project.writestr("Metadata/plate_1.gcode", dwells(seconds))
        # so that it does not arrive in one piece
        project.writestr("Metadata/noise", os.urandom(300_000), zipfile.ZIP_STORED)
    return packed.getvalue()
