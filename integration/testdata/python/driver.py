"""Obeys the test, a line of its standard input at a time, by a library that locks:

acquire WHO NAME MILLIS    once, without waiting: yes or no
extend WHO NAME MILLIS     what WHO acquired last under NAME: yes or no
reacquire WHO NAME         the same, for as long as it was acquired for
release WHO NAME           the same
count WHO... NAME FILE     each adds ROUNDS to the number in FILE, holding NAME: yes

Each WHO is a client of its own; those that count are processes of their own. What
the library raises to say no is answered "no" and the name of its class, whatever
else it raises "error: " and its message.
"""

import os
import sys
import traceback

import libraries

ROUNDS = 5

library, port = libraries.BY_NAME[sys.argv[1]], int(sys.argv[2])
clients = {}
held = {}


def client(who):
    if who not in clients:
        clients[who] = library(port)
    return clients[who]


def acquire(who, name, millis):
    lock = client(who).acquire(name, int(millis))
    if lock:
        held[who, name] = lock
    return lock


def extend(who, name, millis):
    return client(who).extend(held[who, name], int(millis))


def reacquire(who, name):
    return client(who).reacquire(held[who, name])


def release(who, name):
    return client(who).release(held[who, name])


def count(*args):
    *everyone, name, file = args
    children = [start(name, file) for _ in everyone]
    return all([os.waitpid(child, 0)[1] == 0 for child in children])


def start(name, file):
    child = os.fork()
    if child == 0:
        try:
            add(library(port), name, file)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return child


def add(own, name, file):
    for _ in range(ROUNDS):
        lock = own.wait(name, 30000)
        with open(file) as f:
            number = int(f.read())
        with open(file, "w") as f:
            f.write(str(number + 1))
        own.release(lock)


WORDS = {f.__name__: f for f in (acquire, extend, reacquire, release, count)}


def obey(line):
    word, *args = line.split()
    try:
        return "yes" if WORDS[word](*args) else "no"
    except library.REFUSED as refused:
        return "no " + type(refused).__name__
    except Exception as err:
        return "error: %s" % err


for line in sys.stdin:
    print(obey(line), flush=True)
