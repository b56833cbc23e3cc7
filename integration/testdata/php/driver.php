<?php
// Obeys the test, a line of its standard input at a time, by a library that locks:
//
//   acquire WHO NAME MILLIS    once, without waiting: yes or no
//   extend WHO NAME MILLIS     what WHO has, or had, under NAME: yes or no
//   release WHO NAME           the same: yes or no
//   count WHO... NAME FILE     each adds ROUNDS to the number in FILE, holding NAME: yes
//   move WHO PORT              to another server of the same locks: yes
//
// and by whatever else the library's Locker can, said the same way. Each WHO is a
// client of its own; those that count are processes of their own. What the library
// throws is answered "error: " with its class, its message and what caused it.

const ROUNDS = 5;

error_reporting(E_ALL & ~E_DEPRECATED); // of libraries older than this PHP
set_error_handler(function (int $level, string $message): bool {
    if (error_reporting() & $level) {
        throw new ErrorException($message, 0, $level);
    }
    return true;
});

require __DIR__ . '/locker.php';

final class Driver
{
    private string $library;
    private array $ports; // by who; the others are at the first
    private int $port;
    private array $clients = []; // by who

    public function __construct(string $library, int $port)
    {
        $this->library = $library;
        $this->port = $port;
    }

    public function obey(string $line): string
    {
        $words = explode(' ', trim($line));
        try {
            $answer = match ($words[0]) {
                'count' => $this->count(array_slice($words, 1, -2), ...array_slice($words, -2)),
                'move' => $this->move($words[1], (int) $words[2]),
                default => $this->client($words[1])->{$words[0]}(...array_slice($words, 2)),
            };
            return is_bool($answer) ? ($answer ? 'yes' : 'no') : (string) $answer;
        } catch (Throwable $e) {
            return 'error: ' . strtr(described($e), "\n", ' ');
        }
    }

    private function client(string $who): Locker
    {
        return $this->clients[$who] ??= $this->connected($who);
    }

    private function connected(string $who): Locker
    {
        $client = locker($this->library, $who);
        $client->connect('127.0.0.1', $this->ports[$who] ?? $this->port);
        return $client;
    }

    private function move(string $who, int $port): bool
    {
        $this->ports[$who] = $port;
        $this->client($who)->connect('127.0.0.1', $port);
        return true;
    }

    // count ends with the first that fails, since that may hold the lock.
    private function count(array $everyone, string $name, string $file): bool
    {
        $children = [];
        foreach ($everyone as $who) {
            $child = pcntl_fork();
            if ($child === 0) {
                exit($this->add($who, $name, $file));
            }
            $children[] = $child;
        }
        while (pcntl_wait($status) > 0) {
            if ($status !== 0) {
                array_map(fn (int $child) => posix_kill($child, SIGKILL), $children);
                while (pcntl_wait($status) > 0);
                return false;
            }
        }
        return true;
    }

    // add is what one of them does. It returns the exit status.
    private function add(string $who, string $name, string $file): int
    {
        pcntl_alarm(25); // nobody may be left to end it
        try {
            $client = $this->connected($who);
            for ($round = 0; $round < ROUNDS; $round++) {
                $client->guarded($name, function () use ($file) {
                    $n = (int) file_get_contents($file);
                    usleep(500); // room for somebody who does not wait
                    file_put_contents($file, $n + 1);
                });
            }
            return 0;
        } catch (Throwable $e) {
            fwrite(STDERR, "$who does not count on: " . described($e) . "\n");
            return 1;
        }
    }
}

// described names an exception and those that caused it.
function described(Throwable $e): string
{
    $text = get_class($e) . ': ' . $e->getMessage();
    return $e->getPrevious() ? $text . ' <- ' . described($e->getPrevious()) : $text;
}

$driver = new Driver($argv[1], (int) $argv[2]);
while (($line = fgets(STDIN)) !== false) {
    echo $driver->obey($line), "\n";
}
