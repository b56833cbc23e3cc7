<?php

use Symfony\Component\Lock\Exception\LockConflictedException;
use Symfony\Component\Lock\Key;
use Symfony\Component\Lock\Lock;
use Symfony\Component\Lock\Store\RedisStore;

require_once 'Symfony/Component/Lock/autoload.php';

// Symfony's Lock with a RedisStore, for writing and for reading. The scripts of
// 5.2 to 7.2 are the same; how they are sent differs, and whose time they go by.
final class SymfonyLocker extends Locker
{
    private string $client;
    private RedisStore $store;
    private array $keys = []; // by name; each carries its token

    public function __construct(string $who, string $client)
    {
        parent::__construct($who);
        $this->client = $client;
    }

    public function connect(string $host, int $port): void
    {
        $this->store = new RedisStore(match ($this->client) {
            'predis' => predis($host, $port),
            'phpredis' => phpredis($host, $port),
            'array' => new RedisArray(["$host:$port"], ['connect_timeout' => 10.0]),
            'by-digest' => phpredis($host, $port, new ByDigest()),
            'own-clock' => phpredis($host, $port, new NoTimeInScripts()),
        });
    }

    public function acquire(string $name, int $ms): bool
    {
        return $this->lock($name, $ms)->acquire();
    }

    public function acquireRead(string $name, int $ms): bool
    {
        return $this->lock($name, $ms)->acquireRead();
    }

    public function extend(string $name, int $ms): bool
    {
        try {
            $this->lock($name, $ms)->refresh();
            return true;
        } catch (LockConflictedException $e) {
            return false;
        }
    }

    // release says whether it was ours before and is not now: Symfony says
    // nothing if it was not.
    public function release(string $name): bool
    {
        $lock = $this->lock($name, 0);
        $held = $lock->isAcquired();
        $lock->release();
        return $held && !$lock->isAcquired();
    }

    public function holds(string $name): bool
    {
        return $this->lock($name, 0)->isAcquired();
    }

    public function guarded(string $name, callable $work): void
    {
        $lock = $this->lock($name, 30000);
        $lock->acquire(true);
        $work();
        $lock->release();
    }

    private function lock(string $name, int $ms): Lock
    {
        $key = $this->keys[$name] ??= new Key($name);
        return new Lock($key, $this->store, $ms / 1000, false);
    }
}

// ByDigest sends scripts as Symfony 7.2 does: by their digest, and only if the
// error is these words exactly, once more after SCRIPT LOAD. Any other error of
// the first try is no more than "false" there.
final class ByDigest extends Redis
{
    public function eval($script, $args = null, $keys = null)
    {
        $answer = $this->evalSha(sha1($script), $args, $keys);
        $error = $this->getLastError();
        $this->clearLastError();
        if ($error === 'NOSCRIPT No matching script. Please use EVAL.') {
            if ($this->script('load', $script) !== sha1($script)) {
                throw new RuntimeException('SCRIPT LOAD did not return the digest');
            }
            return $this->evalSha(sha1($script), $args, $keys);
        }
        return $answer;
    }
}

// NoTimeInScripts is a server before Redis 5: scripts that write can't ask for
// the time, so the store sends that of its own clock.
final class NoTimeInScripts extends Redis
{
    private ?string $refusal = null;

    public function eval($script, $args = null, $keys = null)
    {
        if ($args[0] !== 'symfony_check_support_time') {
            return parent::eval($script, $args, $keys);
        }
        $this->refusal = 'ERR Write commands not allowed after non deterministic commands.';
        return false;
    }

    public function getLastError()
    {
        return $this->refusal ?? parent::getLastError();
    }

    public function clearLastError()
    {
        $this->refusal = null;
        return parent::clearLastError();
    }
}
