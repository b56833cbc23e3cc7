<?php

// What Nextcloud sends to lock files: a string that counts those who read, or
// says that somebody writes. Scripts are sent by their digest, and in full after
// anything that phpredis calls false.
final class NextcloudLocker extends Locker
{
    private const WRITING = '"exclusive"';
    private const TTL = 3600;

    private Redis $redis;
    private array $writes = []; // by name; the token is the same for all

    public function connect(string $host, int $port): void
    {
        $this->redis = phpredis($host, $port);
    }

    public function acquire(string $name, int $ms): bool
    {
        $taken = $this->redis->set($name, self::WRITING, ['nx', 'ex' => intdiv($ms, 1000)]);
        if ($taken) {
            $this->writes[$name] = true;
        }
        return $taken;
    }

    public function release(string $name): bool
    {
        if (!isset($this->writes[$name])) {
            return false;
        }
        unset($this->writes[$name]);
        return $this->run(COMPARE_AND_DELETE, $name, self::WRITING) === 1;
    }

    // share counts one more who reads.
    public function share(string $name): bool
    {
        if (!$this->redis->set($name, '0', ['nx', 'ex' => self::TTL]) && $this->redis->get($name) === self::WRITING) {
            return false;
        }
        return $this->redis->incrBy($name, 1) !== false && $this->redis->expire($name, self::TTL);
    }

    // leave counts one less; the last one takes the count away.
    public function leave(string $name): bool
    {
        if ($this->run(COMPARE_AND_DELETE, $name, '1') === 1) {
            return true;
        }
        $script = 'if redis.call("exists", KEYS[1]) == 1 then return redis.call("decrby", KEYS[1], ARGV[1]) end return "NEX"';
        return is_int($this->run($script, $name, '1'));
    }

    // promote has the only one who reads write.
    public function promote(string $name): bool
    {
        return $this->swap($name, '1', self::WRITING);
    }

    // demote has the one who writes read.
    public function demote(string $name): bool
    {
        return $this->swap($name, self::WRITING, '1');
    }

    // swap is of two steps: the script sets no end.
    private function swap(string $name, string $old, string $new): bool
    {
        $script = 'if redis.call("get", KEYS[1]) == ARGV[1] then redis.call("set", KEYS[1], ARGV[2]) return 1 end return 0';
        return $this->run($script, $name, $old, $new) === 1 && $this->redis->expire($name, self::TTL);
    }

    private function run(string $script, string $name, string ...$args)
    {
        $answer = $this->redis->evalSha(sha1($script), [$name, ...$args], 1);
        return $answer === false ? $this->redis->eval($script, [$name, ...$args], 1) : $answer;
    }
}
