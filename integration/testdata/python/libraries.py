import base64
import math
import os

import redis
from redis.lock import Lock, LockError

POLL = 0.01  # seconds


class RedisPy:
    """The Lock that comes with redis-py, which django-redis hands out too."""

    REFUSED = LockError

    def __init__(self, port):
        self.client = redis.Redis(port=port)

    def make(self, name, millis):
        return Lock(self.client, name, timeout=millis / 1000, sleep=POLL)

    def acquire(self, name, millis):
        lock = self.make(name, millis)
        return lock.acquire(blocking=False) and lock

    def wait(self, name, millis):
        lock = self.make(name, millis)
        lock.acquire(blocking=True)
        return lock

    def extend(self, lock, millis):
        return lock.extend(millis / 1000, replace_ttl=True)

    def reacquire(self, lock):
        return lock.reacquire()

    def release(self, lock):
        lock.release()
        return True


class NotAcquired(Exception):
    pass


class PythonRedisLock:
    """What python-redis-lock sends: a string to hold, a list that wakes who waits.

    Its TTL is in whole seconds. Its scripts answer 0 for success.
    """

    REFUSED = NotAcquired

    EXTEND = """
        if redis.call("get", KEYS[1]) ~= ARGV[1] then
            return 1
        elseif redis.call("ttl", KEYS[1]) < 0 then
            return 2
        end
        redis.call("expire", KEYS[1], ARGV[2])
        return 0
    """
    RELEASE = """
        if redis.call("get", KEYS[1]) ~= ARGV[1] then
            return 1
        end
        redis.call("del", KEYS[2])
        redis.call("lpush", KEYS[2], 1)
        redis.call("pexpire", KEYS[2], ARGV[2])
        redis.call("del", KEYS[1])
        return 0
    """

    def __init__(self, port):
        self.client = redis.Redis(port=port)
        self.extend_script = self.client.register_script(self.EXTEND)
        self.release_script = self.client.register_script(self.RELEASE)

    def acquire(self, name, millis):
        token = base64.b64encode(os.urandom(18))
        if self.client.get("lock:" + name) == token:
            raise RuntimeError("a token of nobody's holds the lock")
        taken = self.client.set("lock:" + name, token, nx=True, ex=math.ceil(millis / 1000))
        return taken and (name, token)

    def wait(self, name, millis):
        while True:
            lock = self.acquire(name, millis)
            if lock:
                return lock
            self.client.blpop("lock-signal:" + name, math.ceil(millis / 1000))

    def extend(self, lock, millis):
        name, token = lock
        return self.tell(self.extend_script(
            keys=["lock:" + name, "lock-signal:" + name], args=[token, math.ceil(millis / 1000)]))

    def release(self, lock):
        name, token = lock
        return self.tell(self.release_script(
            keys=["lock:" + name, "lock-signal:" + name], args=[token, 1000]))

    @staticmethod
    def tell(answer):
        if answer != 0:
            raise NotAcquired(answer)
        return True


BY_NAME = {"redis-py": RedisPy, "python-redis-lock": PythonRedisLock}
