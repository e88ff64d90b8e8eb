# SPDX-License-Identifier: Apache-2.0
"""A service manager as small as can be: it hears sd_notify(3) and keeps fds as systemd's fd store
does (FDSTORE=1, FDNAME=, FDSTOREREMOVE=1), to give them to the next start."""

import array
import fcntl
import os
import socket
import threading

from harness import Tracer, wait_for

FIRST_FD = 3  # SD_LISTEN_FDS_START
FDS_PER_MESSAGE = 253


class ServiceManager:
    """The store, and what was said."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.said = []
        self.store = []  # (name, fd)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while True:
            text, control, _, _ = self.socket.recvmsg(
                4096, socket.CMSG_SPACE(FDS_PER_MESSAGE * 4), socket.MSG_CMSG_CLOEXEC)
            fds = array.array("i")
            for level, kind, data in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(data[:len(data) - len(data) % 4])
            lines = text.decode().split("\n")
            if not text:  # shut down
                return
            self.hear(dict(line.split("=", 1) for line in lines if "=" in line), fds)
            self.said.append(lines)

    def hear(self, state, fds):
        name = state.get("FDNAME", "stored")
        if state.get("FDSTORE") == "1":
            assert state.get("FDPOLL") == "0", "a polled fd that reports an error is thrown out"
            self.store += [(name, fd) for fd in fds]
            return
        for fd in fds:
            os.close(fd)
        if state.get("FDSTOREREMOVE") == "1":
            for _, fd in [one for one in self.store if one[0] == name]:
                os.close(fd)
            self.store = [one for one in self.store if one[0] != name]

    def names(self):
        return [name for name, _ in self.store]

    def heard(self, line):
        return sum(line in lines for lines in self.said)

    def equip(self):
        """In the process to be: the fds in their places, and the variables."""
        os.environ["NOTIFY_SOCKET"] = self.path
        if not self.store:
            return
        # First out of the way of those places.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 400) for _, fd in self.store]
        for i, fd in enumerate(high):
            os.dup2(fd, FIRST_FD + i)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)),
                          LISTEN_FDNAMES=":".join(self.names()))

    def drop(self):
        """As when a unit is stopped."""
        for _, fd in self.store:
            os.close(fd)
        self.store = []

    def close(self):
        self.socket.shutdown(socket.SHUT_RD)
        self.thread.join()
        self.socket.close()
        self.drop()


class Service(Tracer):
    """A conntraced under that service manager."""

    def __init__(self, **how):
        super().__init__(**how)
        self.manager = ServiceManager(self.dir)
        self.prepare = self.manager.equip

    def stored(self):
        """Wait until a tracer is in the store with all that it needs."""
        return wait_for("a manifest in the store",
                        lambda: [n for n in self.manager.names() if n.endswith("-manifest")])

    def __exit__(self, kind, value, trace):
        try:
            super().__exit__(kind, value, trace)
        finally:
            self.manager.close()
