<?php

// What libraries send that no package has: the same commands, in the same order.

// Symfony's RedisStore up to 5.1 kept a string.
final class OldSymfonyLocker extends Locker
{
    private string $client;
    private Redis|Predis\Client $redis;

    public function __construct(string $who, string $client)
    {
        parent::__construct($who);
        $this->client = $client;
    }

    public function connect(string $host, int $port): void
    {
        $this->redis = $this->client === 'predis' ? predis($host, $port) : phpredis($host, $port);
    }

    public function acquire(string $name, int $ms): bool
    {
        $script = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end
            if redis.call("set", KEYS[1], ARGV[1], "nx", "px", ARGV[2]) then return 1 end
            return 0';
        return (bool) lua($this->redis, $script, $name, $this->who, $ms);
    }

    public function extend(string $name, int $ms): bool
    {
        return (bool) lua($this->redis, COMPARE_AND_PEXPIRE, $name, $this->who, $ms);
    }

    public function release(string $name): bool
    {
        return (bool) lua($this->redis, COMPARE_AND_DELETE, $name, $this->who);
    }
}

// php-lock 3.1: milliseconds, and by default a thousand years of them.
final class PhpLock3Locker extends Locker
{
    private string $client;
    private Redis|Predis\Client $redis;

    public function __construct(string $who, string $client)
    {
        parent::__construct($who);
        $this->client = $client;
    }

    public function connect(string $host, int $port): void
    {
        $this->redis = $this->client === 'predis' ? predis($host, $port) : phpredis($host, $port);
    }

    public function acquire(string $name, int $ms): bool
    {
        if ($this->client === 'predis') {
            return $this->redis->set($name, $this->who, 'PX', $ms, 'NX') !== null;
        }
        return $this->redis->set($name, $this->who, ['nx', 'px' => $ms]);
    }

    public function forever(string $name): bool
    {
        return $this->acquire($name, 31557600000000);
    }

    public function release(string $name): bool
    {
        return (bool) lua($this->redis, COMPARE_AND_DELETE, $name, $this->who);
    }
}

// Moodle's two factories: SETNX, with an EXPIRE after it or none, and a release
// that compares in PHP.
final class MoodleLocker extends Locker
{
    private int $seconds;
    private Redis $redis;

    public function __construct(string $who, int $seconds)
    {
        parent::__construct($who);
        $this->seconds = $seconds;
    }

    public function connect(string $host, int $port): void
    {
        $this->redis = phpredis($host, $port);
    }

    public function acquire(string $name, int $ms): bool
    {
        if (!$this->redis->setnx($name, $this->who)) {
            return false;
        }
        if ($this->seconds > 0) {
            $this->redis->expire($name, $this->seconds);
        }
        return true;
    }

    public function forever(string $name): bool
    {
        return $this->acquire($name, 0);
    }

    public function release(string $name): bool
    {
        return $this->redis->get($name) === $this->who && $this->redis->del($name) === 1;
    }

    public function ttl(string $name): int
    {
        return $this->redis->ttl($name);
    }
}
