<?php

use Illuminate\Cache\RedisStore;
use Illuminate\Redis\Connections\Connection;
use Illuminate\Redis\Limiters\ConcurrencyLimiter;
use Illuminate\Redis\RedisManager;

require_once 'Illuminate/Cache/autoload.php';
require_once 'Illuminate/Redis/autoload.php';

// Laravel's cache locks, as Cache::lock() makes them, and what it has besides.
// "packed" is phpredis with values that are serialized and compressed: bytes of
// any kind.
final class LaravelLocker extends Locker
{
    private string $client;
    private RedisStore $store;
    private array $options = [];

    public function __construct(string $who, string $client)
    {
        parent::__construct($who);
        $this->client = $client;
    }

    public function connect(string $host, int $port): void
    {
        $this->options = ['host' => $host, 'port' => $port] + $this->options;
        if ($this->client === 'packed') {
            $this->options += ['serializer' => Redis::SERIALIZER_IGBINARY, 'compression' => Redis::COMPRESSION_LZ4];
        }
        $driver = $this->client === 'predis' ? 'predis' : 'phpredis';
        $manager = new RedisManager(null, $driver, ['default' => $this->options]);
        $this->store = new RedisStore($manager);
    }

    // settings has it connect by what else config/database.php may say.
    public function settings(string $password, int $database, string $name, string $prefix): bool
    {
        $this->options = compact('password', 'database', 'name', 'prefix') + $this->options;
        $this->connect($this->options['host'], $this->options['port']);
        return true;
    }

    public function acquire(string $name, int $ms): bool
    {
        return $this->lock($name, $ms)->acquire();
    }

    // forever asks for a lock without end.
    public function forever(string $name): bool
    {
        return $this->acquire($name, 0);
    }

    // extend is refresh() of 12.67 and of 13.16, which 8.83 does not have.
    public function extend(string $name, int $ms): bool
    {
        $script = 'if redis.call("get", KEYS[1]) ~= ARGV[1] then return 0 end
            if tonumber(ARGV[2]) > 0 then return redis.call("expire", KEYS[1], ARGV[2]) end
            redis.call("persist", KEYS[1]) return 1';
        [$owner] = $this->client === 'predis' ? [$this->who] : $this->connection()->pack([$this->who]);
        return (bool) $this->connection()->eval($script, 1, $name, $owner, intdiv($ms, 1000));
    }

    public function release(string $name): bool
    {
        return $this->store->restoreLock($name, $this->who)->release();
    }

    public function force(string $name): bool
    {
        $this->lock($name, 0)->forceRelease();
        return true;
    }

    public function guarded(string $name, callable $work): void
    {
        $this->lock($name, 30000)->betweenBlockedAttemptsSleepFor(random_int(5, 30))->block(20, $work);
    }

    // add is Cache::add(): a value that is only put where there is none.
    public function add(string $name, int $ms): bool
    {
        return $this->store->add($name, $this->who, intdiv($ms, 1000));
    }

    // funnel does nothing in one of so many slots, and says whether one was free.
    public function funnel(string $name, int $slots, callable $work = null): bool
    {
        try {
            return (new ConcurrencyLimiter($this->connection(), $name, $slots, 60))->block(0, $work ?? fn () => true);
        } catch (Illuminate\Contracts\Redis\LimiterTimeoutException $e) {
            return false;
        }
    }

    // crowd goes so deep into a funnel that one more slot is needed than there
    // are, and says how many there were.
    public function crowd(string $name, int $slots): int
    {
        $entered = 0;
        $enter = function () use (&$enter, &$entered, $name, $slots) {
            $entered++;
            return $this->funnel($name, $slots, $enter);
        };
        $this->funnel($name, $slots, $enter);
        return $entered;
    }

    private function lock(string $name, int $ms): Illuminate\Cache\Lock
    {
        return $this->store->lock($name, intdiv($ms, 1000), $this->who);
    }

    private function connection(): Connection
    {
        return $this->store->connection();
    }
}
