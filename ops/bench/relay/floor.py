"""What this machine can do at the most, for the relay's figures to be held against.

A mail costs at least one RSA-2048 signature, its share of a synced append, and its octets once in and once out.
"""

import os
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time


def signatures(seconds=3):
    """RSA-2048 signatures a second on all processors at once, by openssl."""
    command = ["openssl", "speed", "-seconds", str(seconds), "-multi", str(os.cpu_count()), "rsa2048"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.search(r"rsa 2048 bits\s+\S+\s+\S+\s+([\d.]+)", done.stdout).group(1))


def synced_appends(threads=16, seconds=3, size=4096):
    """Appends of `size` octets, each followed by fdatasync, a second; every thread has a file of its own."""
    counts, end = [0] * threads, time.monotonic() + seconds

    def work(number):
        with tempfile.TemporaryFile(dir="/var/tmp") as file:
            while time.monotonic() < end:
                os.write(file.fileno(), b"x" * size)
                os.fdatasync(file.fileno())
                counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def copied_octets(seconds=2, block=1 << 16):
    """Octets a second over one loopback connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
        end = time.monotonic() + seconds

        def send():
            with sender:
                while time.monotonic() < end:
                    sender.sendall(b"x" * block)

        thread, total, started = threading.Thread(target=send), 0, time.monotonic()
        thread.start()
        with receiver:
            while octets := receiver.recv(block):
                total += len(octets)
        thread.join()
        return total / (time.monotonic() - started)


def report(results):
    """The floor's figures, and how far from them the gateway with RSA keys is."""
    signed, synced, copied = signatures(), synced_appends(), copied_octets()
    lines = [f"RSA-2048 signatures/s on {os.cpu_count()} processors: {signed:.0f} "
             f"({os.cpu_count() * 1000 / signed:.2f} CPU s a 1,000 mails)",
             f"synced appends/s, 16 threads: {synced:.0f}", f"one TCP copy: {copied / 1e9:.2f} GB/s"]
    rows = [row for row in results if row["rival"] == "waxseal" and row["sessions"] == 20]
    for size in sorted({row["size"] for row in rows}):
        cpu = statistics.median(row["cpu_seconds_per_1000"] for row in rows if row["size"] == size)
        lines.append(f"waxseal, {size} octets, 20 sessions: {cpu * signed / (os.cpu_count() * 1000):.2f} times the "
                     "CPU of its RSA signatures alone")
    return "\n".join(lines)
