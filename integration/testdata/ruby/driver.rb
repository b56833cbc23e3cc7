# Obeys the test, a line of its standard input at a time, by a library that locks:
#
#   acquire WHO NAME MILLIS    once, without waiting: yes or no
#   extend WHO NAME MILLIS     what WHO acquired last under NAME: yes or no
#   ttl WHO NAME               how long that still is, in milliseconds
#   release WHO NAME           the same: yes or no
#   count WHO... NAME FILE     each adds ROUNDS to the number in FILE, holding NAME: yes
#
# Each WHO is a client of its own; those that count are processes of their own. What
# the library raises is answered "error: " and its message.

require_relative 'libraries'

ROUNDS = 5
POLL = 0.01 # seconds

class Driver
  def initialize(library, port)
    @open = -> { LIBRARIES.fetch(library).new(port) }
    @clients = Hash.new { |all, who| all[who] = @open.call }
    @held = {}
  end

  def acquire(who, name, millis)
    lock = @clients[who].acquire(name, millis.to_i)
    @held[[who, name]] = lock if lock
    lock
  end

  def extend(who, name, millis)
    @clients[who].extend(@held[[who, name]], millis.to_i)
  end

  def ttl(who, name)
    @clients[who].ttl(@held[[who, name]])
  end

  def release(who, name)
    @clients[who].release(@held[[who, name]])
  end

  def count(*everyone, name, file)
    children = everyone.map { fork { add(@open.call, name, file) } }
    children.map { |child| Process.wait2(child)[1].success? }.all?
  end

  def obey(line)
    word, *args = line.split
    answer = public_send(word, *args)
    answer.is_a?(Integer) ? answer : answer ? 'yes' : 'no'
  rescue Redis::BaseError => e
    "error: #{e.message}"
  end

  private

  def add(own, name, file)
    ROUNDS.times do
      sleep POLL until (lock = own.acquire(name, 30_000))
      File.write(file, File.read(file).to_i + 1)
      own.release(lock) or raise "lost #{name} while it counted"
    end
  end
end

driver = Driver.new(ARGV[0], ARGV[1].to_i)
$stdout.sync = true
$stdin.each_line { |line| puts driver.obey(line) }
