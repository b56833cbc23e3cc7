<?php

use malkusch\lock\mutex\PHPRedisMutex;
use malkusch\lock\mutex\PredisMutex;
use malkusch\lock\mutex\SpinlockMutex;

require_once 'Malkusch/Lock/autoload.php';

// php-lock's mutex of 2.2. With phpredis its tokens are packed by igbinary: bytes
// of any kind.
final class MalkuschLocker extends Locker
{
    private string $client;
    private Redis|Predis\Client $redis;
    private array $mutexes = []; // by name; each carries its token

    public function __construct(string $who, string $client)
    {
        parent::__construct($who);
        $this->client = $client;
    }

    public function connect(string $host, int $port): void
    {
        if ($this->client === 'predis') {
            $this->redis = predis($host, $port);
            return;
        }
        $this->redis = phpredis($host, $port);
        $this->redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_IGBINARY);
    }

    public function acquire(string $name, int $ms): bool
    {
        return $this->mutex($name)->take($name, intdiv($ms, 1000));
    }

    public function release(string $name): bool
    {
        return $this->mutex($name)->drop($name);
    }

    public function guarded(string $name, callable $work): void
    {
        $this->mutex($name)->synchronized($work);
    }

    private function mutex(string $name): SpinlockMutex
    {
        return $this->mutexes[$name] ??= $this->client === 'predis'
            ? new OpenPredisMutex([$this->redis], $name, 20)
            : new OpenPHPRedisMutex([$this->redis], $name, 20);
    }
}

// Open lets a test have the two halves of synchronized() one by one.
trait Open
{
    public function take(string $key, int $seconds): bool
    {
        return $this->acquire($key, $seconds);
    }

    public function drop(string $key): bool
    {
        return $this->release($key);
    }
}

final class OpenPHPRedisMutex extends PHPRedisMutex
{
    use Open;
}

final class OpenPredisMutex extends PredisMutex
{
    use Open;
}
