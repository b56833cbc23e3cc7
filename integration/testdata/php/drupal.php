<?php

// What the redis module of Drupal sends for its locks: no scripts, but WATCH and
// a transaction. "phpredis" extends by PSETEX, "newer" by SET. "predis" has
// neither its extension nor its deletion in a transaction. "older" does not even
// acquire by NX: whoever watched an absent key and gets to EXEC has it.
final class DrupalLocker extends Locker
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
        switch ($this->client) {
            case 'predis':
                return $this->redis->set($name, $this->who, 'nx', 'px', $ms) !== null;
            case 'older':
                return $this->take($name, $ms);
        }
        return $this->redis->set($name, $this->who, ['nx', 'px' => $ms]);
    }

    public function extend(string $name, int $ms): bool
    {
        if (!$this->watch($name)) {
            return false;
        }
        $done = match ($this->client) {
            'predis' => $this->redis->psetex($name, $ms, $this->who),
            'phpredis' => $this->redis->multi()->psetex($name, $ms, $this->who)->exec(),
            'newer' => $this->redis->multi()->set($name, $this->who, ['px' => $ms])->exec(),
            'older' => $this->redis->multi()->setex($name, intdiv($ms, 1000), $this->who)->exec(),
        };
        if ($done === false) {
            $this->redis->discard();
            return false;
        }
        return true;
    }

    public function release(string $name): bool
    {
        return $this->watch($name) && $this->end($name);
    }

    // watch is the first half of a release, and of an extension.
    public function watch(string $name): bool
    {
        $this->redis->watch($name);
        if ($this->redis->get($name) === $this->who) {
            return true;
        }
        $this->redis->unwatch();
        return false;
    }

    // end is the other half of a release.
    public function end(string $name): bool
    {
        if ($this->client === 'predis') {
            $pipe = $this->redis->pipeline();
            $pipe->del([$name]);
            return $pipe->execute() === [1];
        }
        $this->redis->multi();
        $this->redis->del($name);
        return $this->redis->exec() !== false;
    }

    private function take(string $name, int $ms): bool
    {
        $this->redis->watch($name);
        if ($this->redis->get($name) !== false) {
            $this->redis->unwatch();
            return false;
        }
        $this->redis->multi();
        $this->redis->setex($name, intdiv($ms, 1000), $this->who);
        return $this->redis->exec() !== false;
    }
}
