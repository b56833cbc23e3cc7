require 'digest'
require 'redis'
require 'securerandom'

Lock = Struct.new(:name, :token)

# redis-rb itself, locking as the Redis manual says.
class RedisRb
  EXTEND = <<~LUA
    if redis.call("get", KEYS[1]) == ARGV[1] then
      return redis.call("pexpire", KEYS[1], ARGV[2])
    else
      return 0
    end
  LUA
  RELEASE = <<~LUA
    if redis.call("get", KEYS[1]) == ARGV[1] then
      return redis.call("del", KEYS[1])
    else
      return 0
    end
  LUA

  def initialize(port)
    @client = Redis.new(port: port)
  end

  def acquire(name, millis)
    lock = Lock.new(name, SecureRandom.uuid)
    @client.set(name, lock.token, nx: true, px: millis) && lock
  end

  def extend(lock, millis)
    @client.eval(EXTEND, keys: [lock.name], argv: [lock.token, millis]) == 1
  end

  def ttl(lock)
    @client.get(lock.name) == lock.token ? @client.pttl(lock.name) : 0
  end

  def release(lock)
    @client.eval(RELEASE, keys: [lock.name], argv: [lock.token]) == 1
  end
end

# What redlock-rb sends: one script to acquire and to extend, which returns nothing
# at all for a refusal, and its scripts by their digests.
class RedlockRb
  LOCK = <<~LUA
    if (redis.call("exists", KEYS[1]) == 0 and ARGV[3] == "yes") or redis.call("get", KEYS[1]) == ARGV[1] then
      return redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2])
    end
  LUA
  TTL = 'return { redis.call("get", KEYS[1]), redis.call("pttl", KEYS[1]) }'
  UNLOCK = RedisRb::RELEASE

  def initialize(port)
    @client = Redis.new(port: port)
  end

  def acquire(name, millis)
    lock = Lock.new(name, SecureRandom.uuid)
    run(LOCK, lock, millis, 'yes') == 'OK' && lock
  end

  def extend(lock, millis)
    run(LOCK, lock, millis, 'no') == 'OK'
  end

  def ttl(lock)
    token, millis = run(TTL, lock)
    token == lock.token ? millis : 0
  end

  def release(lock)
    run(UNLOCK, lock) == 1
  end

  private

  def run(script, lock, *args, again: true)
    @client.evalsha(Digest::SHA1.hexdigest(script), keys: [lock.name], argv: [lock.token, *args])
  rescue Redis::CommandError => e
    raise unless again && e.message.include?('NOSCRIPT')

    [LOCK, TTL, UNLOCK].each { |each| @client.script(:load, each) }
    run(script, lock, *args, again: false)
  end
end

LIBRARIES = { 'redis-rb' => RedisRb, 'redlock-rb' => RedlockRb }.freeze
