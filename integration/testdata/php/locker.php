<?php

// A Locker is one client of a library, and answers as the library does: true for
// yes, false for no, an exception for trouble. Those that can do it extend, too.
abstract class Locker
{
    protected string $who;

    public function __construct(string $who)
    {
        $this->who = $who;
    }

    // connect is called first, and again for another server of the same locks.
    // What the client holds it knows afterwards too.
    abstract public function connect(string $host, int $port): void;

    abstract public function acquire(string $name, int $ms): bool;

    abstract public function release(string $name): bool;

    // guarded does some work under the lock, waiting for it as the library waits.
    // Those that leave the waiting to their user get this.
    public function guarded(string $name, callable $work): void
    {
        while (!$this->acquire($name, 30000)) {
            usleep(random_int(5000, 30000));
        }
        $work();
        if (!$this->release($name)) {
            throw new RuntimeException("$name was not ours when it was released");
        }
    }
}

// phpredis returns a connection of the extension. One of another class of it may
// be given, for its ways.
function phpredis(string $host, int $port, Redis $redis = new Redis()): Redis
{
    $redis->connect($host, $port, 10.0);
    return $redis;
}

function predis(string $host, int $port): Predis\Client
{
    require_once 'Predis/autoload.php';
    return new Predis\Client(['host' => $host, 'port' => $port, 'timeout' => 10, 'read_write_timeout' => 10]);
}

// lua runs a script over one key, by either client.
function lua(Redis|Predis\Client $redis, string $script, string $key, ...$args)
{
    return $redis instanceof Redis ? $redis->eval($script, [$key, ...$args], 1) : $redis->eval($script, 1, $key, ...$args);
}

// How most libraries release, and extend.
const COMPARE_AND_DELETE = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0';
const COMPARE_AND_PEXPIRE = 'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end return 0';

function locker(string $library, string $who): Locker
{
    [$name, $client] = explode('/', "$library/");
    foreach (['symfony', 'laravel', 'malkusch', 'drupal', 'nextcloud', 'sequences'] as $file) {
        if (str_starts_with($name, $file) || $file === 'sequences') {
            require_once __DIR__ . "/$file.php";
            break;
        }
    }
    switch ($name) {
        case 'symfony': return new SymfonyLocker($who, $client);
        case 'laravel': return new LaravelLocker($who, $client);
        case 'malkusch': return new MalkuschLocker($who, $client);
        case 'drupal': return new DrupalLocker($who, $client);
        case 'old-symfony': return new OldSymfonyLocker($who, $client);
        case 'php-lock-3': return new PhpLock3Locker($who, $client);
        case 'nextcloud': return new NextcloudLocker($who);
        case 'moodle-redislock': return new MoodleLocker($who, 0);
        case 'moodle-cachestore': return new MoodleLocker($who, 600);
    }
    throw new InvalidArgumentException($library);
}
