package commands

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/quorum/storetest"
)

// A peer is a connection to a real Redis server.
type peer struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dialPeer(t testing.TB, addr string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("dial redis-server: %v", err)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatalf("set a deadline: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return &peer{t, conn, bufio.NewReader(conn)}
}

func (p *peer) do(args ...string) string {
	p.t.Helper()
	out := fmt.Sprintf("*%d\r\n", len(args))
	for _, arg := range args {
		out += bulkOf(arg)
	}
	if _, err := io.WriteString(p.conn, out); err != nil {
		p.t.Fatalf("send %q: %v", args, err)
	}
	return p.reply()
}

// reply reads one reply, as it is on the wire.
func (p *peer) reply() string {
	p.t.Helper()
	line, err := p.in.ReadString('\n')
	if err != nil {
		p.t.Fatalf("read a reply: %v", err)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$', '=':
		if n < 0 {
			return line
		}
		body := make([]byte, n+2)
		if _, err := io.ReadFull(p.in, body); err != nil {
			p.t.Fatalf("read a bulk of %d bytes: %v", n, err)
		}
		return line + string(body)
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		return line
	}
	for range n {
		line += p.reply()
	}
	return line
}

// alike are command lines that Redis 7.0 and we answer byte for byte alike, in
// the order they are sent; each group starts with no keys.
var alike = map[string][]string{
	"SET": {
		"set a b", "get a", "set a b", "SET a b NX", "set n v nx", "set n v NX", "set x v XX", "set a b xx",
		"set a b px 10000", "ttl a", "set a b ex 100 nx", "set m 1 Ex 100 nX", "ttl m", "set a b keepttl", "ttl a",
		"set q v px 5000 get", "set q v get", "set q v nx get", "set a b ex 10 ex 20", "ttl a", "set a b get get nx nx",
		"set", "set a", "set a b c", "set a b nx xx", "set a b xx nx", "set a b ex", "set a b px",
		"set a b ex 1 px 1", "set a b px 1 keepttl", "set a b keepttl ex 1", "set a b exat 1 ex 1",
		"set a b ex 0", "set a b px 0", "set a b ex -1", "set a b px -5", "set a b exat 0", "set a b pxat -1",
		"set a b ex 9223372036854775807", "set a b px 9223372036854775807", "set a b ex 9223372036854776",
		"set a b px 99999999999999999999", "set a b px 1.5", "set a b px abc", "set a b px \"\"", "set a b px 01", "set a b px +1",
		"set a b px \" 1\"", "set a b px -0", "set a b foo", "set a b nx foo", "get", "get a b",
		"setnx s v", "setnx s v", "setnx s", "setex e 100 v", "get e", "ttl e", "setex e 0 v", "setex e -1 v", "setex e x v", "setex e",
		"psetex p 100000 v", "ttl p", "psetex p 0 v", "psetex p x v", "psetex p 9223372036854775807 v", "setex e 9223372036854775807 v",
	},
	"MSET": {
		"mset a 1 b 2", "mget a b c", "mset a", "mset a 1 b", "msetnx c 3 d 4", "msetnx d 4 e 5", "mget c d e", "msetnx a", "msetnx a 1 b",
		"mget", "mget a a", "msetnx f 1 f 2", "get f", "mset g 1 g 1", "get g",
	},
	"reading": {
		"set a hello", "strlen a", "strlen none", "getrange a 0 -1", "getrange a 1 2", "getrange a -3 -2", "getrange a 3 1", "getrange a -1 -5",
		"getrange a 0 100", "getrange a 7 9", "getrange a -100 1", "getrange none 0 -1", "getrange a x 1", "getrange a 0 x", "getrange a 0",
		"substr a 1 3", "exists a", "exists a a none", "exists", "type a", "type none", "type", "getdel a", "getdel a", "getdel", "get a",
		"strlen", "ttl", "ttl none", "pttl none", "expiretime none", "pexpiretime none", "mget none",
	},
	"DEL": {
		"set a 1", "set b 2", "set c 3", "del a b none", "del a", "unlink c c", "del", "unlink", "exists a b c",
	},
	"EXPIRE": {
		"set a 1 px 100000", "expire a 200", "ttl a", "expire a 100 gt", "ttl a", "expire a 300 GT", "ttl a", "expire a 400 lt", "expire a 50 LT", "ttl a",
		"expire a 10 nx", "expire a 20 xx", "ttl a", "expire a 30 xx gt", "expire a 10 xx lt", "expire none 10", "pexpire a 100000", "ttl a", "pexpire a 1000000 gt", "ttl a",
		"expireat a 4102444800 lt", "pexpireat none 1", "set u v", "expire u 10 gt", "expire u 10 xx", "expire u 50 nx", "ttl u", "persist u", "persist u", "persist none",
		"expire u 50 lt", "ttl u", "expire a 0", "exists a", "set a 1", "pexpire a -1", "exists a", "set a 1", "expireat a 1", "exists a", "set a 1", "pexpireat a 1", "exists a",
		"set a 1", "expire a -9223372036854775", "exists a", "set a 1",
		"expire a 9223372036854775807", "expire a -9223372036854775807", "pexpire a 9223372036854775807", "expireat a 9223372036854775807",
		"expire a x", "expire a 1.5", "expire a 10 foo", "expire a 10 nx xx", "expire a 10 nx gt", "expire a 10 nx lt", "expire a 10 gt lt", "expire a foo bar",
		"expire a", "expire", "pexpire a", "expireat a", "pexpireat a", "persist", "expire none foo", "expire none 9223372036854775807", "expire a 10 nx foo",
		"set z 1 px 100000", "pexpire z -9223372036854775808", "exists z",
	},
	"scanning": {
		"keys *", "scan 0", "dbsize", "set abc 1", "keys *", "keys a?c", "keys a[a-c]c", "keys a[^b]c", "keys \"a\\\\bc\"", "keys", "scan 0", "scan 0 match ab*", "scan 0 match x*",
		"scan 0 count 10", "scan 0 type string", "scan 0 type hash", "scan 0 type \"\"", "SCAN 0 TYPE string MATCH a* COUNT 5", "scan x", "scan 0 count", "scan 0 count 0", "scan 0 count x", "scan 0 foo bar",
		"scan 0 match", "keys \"\"", "scan 0 match \"\"", "scan 0 match x* match \"\"", "scan", "dbsize", "dbsize x", "select 1", "keys *", "dbsize", "set abc 2", "get abc", "select 0", "get abc", "select 16", "select -1", "select x", "select", "select 99999999999999999999", "select 4611686018427387904", "select -2147483649", "select 2147483648", "select -2147483648", "eval \"return redis.call('select','2147483648')\" 0",
		"flushall foo", "flushdb foo", "flushall sync async",
	},
	"connection": {
		"ping", "ping hello", "ping a b", "PiNg", "echo hi", "echo", "echo a b", "reset x", "hello 4", "hello 1", "hello x", "hello 3 foo", "hello 2 auth a", "hello 2 setname",
		"hello 2 auth nobody x", "hello 2 setname \"a b\"", "auth x", "auth a b", "auth a b c", "auth", "auth default anything", "client getname", "client setname joe", "client getname", "client setname \"a b\"",
		"client setname \"\"", "client getname", "client", "client foo", "client getname x", "client setname", "client kill foo", "client kill id 0", "client kill id x", "client kill id 99999", "client kill foo bar",
		"client unblock 99999", "client unblock x", "client unblock 99999 timeout", "client unblock 99999 foo", "client unblock", "client kill type normal id 99999", "client kill type foo", "client kill user nobody", "client kill addr 1.2.3.4:5", "client reply", "client reply foo", "client reply on off", "client reply on", "client no-evict on", "client no-evict off", "client no-evict foo", "client list foo", "client list type foo", "client list id x", "client list type pubsub",
		"client list id 99999", "client id x", "client info x",
		"role", "wait 0 0", "wait 0 -1", "wait 0 x", "wait x 0", "wait", "time x", "config get", "config", "config foo", "config get nothing-like-this", "config get databases", "cluster info", "cluster nodes", "cluster slots", "cluster",
		"foo", "foo a b", "foo \"a b\" c", "foo \"a\\r\\nb\"", "\"fo\\no\" a", "\"\"", "\"\" a",
		"foo aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiiijjjjjjjjjjkkkkkkkkkkllllllllllmmmmmmmmmm next",
		"foo aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiiijjjjjjjjjjkkkkkkkkkk next more",
		"\"client|id\"", "\"get|x\" a",
		"command foo", "command info nothing", "command docs nothing", "command count x", "command getkeys set a", "command getkeys", "command getkeys set a b", "command getkeys del a b c", "command getkeys ping a",
		"command getkeys mset a 1 b 2", "command getkeys eval x 2 a b c", "command getkeys foo a", "command getkeys get", "command getkeys set", "command getkeys get a b", "command getkeys get a", "command getkeys ping", "command getkeys config get", "command getkeys client id x", "command getkeys client foo", "command getkeys client", "command getkeys object encoding", "command getkeys object encoding a", "command getkeys eval x", "command getkeys eval x 0", "command getkeys eval x 5 a", "command getkeys eval x y a", "command getkeys eval x -1 a", "command getkeys blpop a", "command getkeys blpop a b 0", "command getkeys script load x", "command list filterby pattern getrang?", "command list filterby pattern \"\"", "command list filterby pattern \"*none*\"", "command list foo",
		"info nothing-like-this", "script", "script foo", "script exists", "script load", "script flush foo", "script flush a b",
	},
	"messages": {
		"publish c x", "publish c", "publish c x y", "spublish c x", "spublish", "unsubscribe", "unsubscribe c", "punsubscribe", "sunsubscribe", "subscribe", "psubscribe", "ssubscribe",
		"pubsub", "pubsub foo", "pubsub channels", "pubsub channels a b", "pubsub channels \"\"", "pubsub numsub", "pubsub numsub a", "pubsub numpat", "pubsub numpat a", "pubsub shardchannels", "pubsub shardnumsub a",
		"eval \"return redis.call('publish',KEYS[1],'x')\" 1 c", "eval \"return redis.call('spublish','c','x')\" 0", "eval_ro \"return redis.call('publish','c','x')\" 0", "eval_ro \"return redis.call('spublish','c','x')\" 0",
		"eval \"return redis.call('publish','c')\" 0", "eval \"return redis.call('subscribe','c')\" 0", "eval \"return redis.call('pubsub','numpat')\" 0", "eval \"return redis.pcall('unsubscribe').err\" 0",
		"command getkeys publish c x", "command getkeys subscribe c",
	},
	"scripts": {
		"eval \"return 1\" 0", "eval \"return\" 0", "eval \"\" 0", "eval \"return 'x'\" 0", "eval \"return true\" 0", "eval \"return false\" 0", "eval \"return nil\" 0", "eval \"return {}\" 0",
		"eval \"return 3.99\" 0", "eval \"return -3.99\" 0", "eval \"return 1e15\" 0", "eval \"return {1,2,nil,4}\" 0", "eval \"return {1,false,3}\" 0", "eval \"return {1,{2,{3,'x'}},true}\" 0",
		"eval \"return {ok='fine'}\" 0", "eval \"return {err='BAD thing'}\" 0", "eval \"return {err='boo'}\" 0", "eval \"return {1,{ok='a'},{err='B c'}}\" 0", "eval \"return {double=3.5}\" 0",
		"eval \"return redis.status_reply('Yes')\" 0", "eval \"return redis.error_reply('ERROR')\" 0", "eval \"return redis.error_reply('MY error')\" 0", "eval \"return redis.error_reply('-MY error')\" 0", "eval \"return redis.error_reply()\" 0",
		"eval \"return redis.sha1hex('')\" 0", "eval \"return redis.sha1hex('abc')\" 0", "eval \"return redis.sha1hex()\" 0", "eval \"return redis.log('x')\" 0", "eval \"return redis.LOG_WARNING\" 0",
		"eval \"return KEYS\" 2 a b c", "eval \"return ARGV\" 1 a b c", "eval \"return #KEYS..':'..#ARGV\" 1 a b c", "eval \"return 1\" x", "eval \"return 1\" 2 a", "eval \"return 1\" -1", "eval \"return 1\"", "eval",
		"evalsha x 0", "evalsha ffffffffffffffffffffffffffffffffffffffff 0", "evalsha e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0", "EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0", "evalsha e0e1f9fabfc9d4800c877a703b823ac0578ff8db x",
		"eval_ro \"return redis.call('get','a')\" 1 a", "eval_ro \"return redis.call('set','a','b')\" 1 a", "evalsha_ro e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
		"script load \"return 2\"", "script exists 7f923f79fe76194c868d7e1d0820de36700eb649 ffffffffffffffffffffffffffffffffffffffff x", "script exists 7F923F79FE76194C868D7E1D0820DE36700EB649", "evalsha 7f923f79fe76194c868d7e1d0820de36700eb649 0", "script flush", "script exists 7f923f79fe76194c868d7e1d0820de36700eb649", "script flush async", "script flush SYNC",
		"eval \"return redis.call('set',KEYS[1],ARGV[1],'px',100000)\" 1 k v", "eval \"return redis.call('get',KEYS[1])\" 1 k", "eval \"return redis.call('set',KEYS[1],'w')\" 1 k", "get k", "eval \"return redis.call('set',KEYS[1],'w','nx')\" 1 k", "eval \"return redis.call('get','nothing')\" 1 nothing",
		"eval \"return redis.call('mget',KEYS[1],KEYS[2])\" 2 k none", "eval \"return {redis.call('get',KEYS[2]),1}\" 2 k none", "eval \"return redis.call('type',KEYS[1])\" 1 k", "eval \"return redis.call('type',KEYS[1]).ok\" 1 k",
		"eval \"if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end\" 1 k nope", "eval \"if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end\" 1 k w",
		"eval \"return redis.call('foo')\" 0", "eval \"return redis.pcall('foo')\" 0", "eval \"return redis.call('get')\" 0", "eval \"return redis.pcall('get').err\" 0", "eval \"return redis.call()\" 0", "eval \"return redis.call({})\" 0", "eval \"return redis.call('client','id')\" 0", "eval \"return redis.call('client','foo')\" 0", "eval \"return redis.call('client')\" 0",
		"eval \"return redis.call('eval','return 1',0)\" 0", "eval \"return redis.call('auth','x')\" 0", "eval \"return redis.call('select','99')\" 0", "eval \"return redis.call('select','1')\" 0", "eval \"return redis.call('ping')\" 0", "eval \"return redis.call('echo','x')\" 0",
		"eval \"return redis.call('set','k','v','px',0)\" 1 k", "eval \"return redis.pcall('set','k','v','px',0)\" 1 k", "eval \"return redis.pcall('set','k','v','px','x').err\" 1 k", "eval \"local x\\nredis.call('get')\" 0",
		"eval \"error('boom')\" 0", "eval \"error('boom',0)\" 0", "eval \"error()\" 0", "eval \"error(3)\" 0", "eval \"error({err='MY table'})\" 0", "eval \"local x\\nerror('two')\" 0", "eval \"local ok,e=pcall(redis.call,'foo'); return e\" 0", "eval \"local ok,e=pcall(error,'x'); return {tostring(ok),e}\" 0", "eval \"return {pcall(function() return 1,2 end)}\" 0",
		"eval \"x=1\" 0", "eval \"return x\" 0", "eval \"return print\" 0", "eval \"return foo()\" 0", "eval \"string.foo=1\" 0", "eval \"rawset(string,'foo',1)\" 0", "eval \"return redis.foo\" 0", "eval \"redis.call=1\" 0", "eval \"local function f() return g end return f()\" 0",
		"eval \"return tostring(10/3)..':'..1e15 ..':'..0.1 ..':'..3.0 ..':'..1/0 ..':'..-1/0\" 0", "eval \"return 10 .. 20\" 0", "eval \"return 'a'..'b'..1 ..2.5\" 0", "eval \"return tonumber('0x10')\" 0", "eval \"return tonumber('x')\" 0", "eval \"return tostring(nil)..tostring(true)\" 0", "eval \"return '10'+5\" 0",
		"eval \"redis.call('set',KEYS[1],10/3) return redis.call('get',KEYS[1])\" 1 n", "eval \"redis.call('set',KEYS[1],1e20) return redis.call('get',KEYS[1])\" 1 n", "eval \"redis.call('set',KEYS[1],1e15) return redis.call('get',KEYS[1])\" 1 n", "eval \"redis.call('set',KEYS[1],3) return redis.call('get',KEYS[1])\" 1 n", "eval \"redis.call('set',KEYS[1],0.0001) return redis.call('get',KEYS[1])\" 1 n", "eval \"redis.call('set',KEYS[1],123456789012) return redis.call('get',KEYS[1])\" 1 n",
		"eval \"return string.format('%d-%s-%5.2f',3,'x',2.5)\" 0", "eval \"return string.sub('hello',2,3)\" 0", "eval \"return ('x'):rep(3)\" 0", "eval \"return string.find('hello','l+')\" 0", "eval \"return {string.find('hello','l+')}\" 0", "eval \"return string.gsub('hello','l','L')\" 0", "eval \"return string.match('k=v','(%w+)=')\" 0", "eval \"local t={} for w in string.gmatch('a b','%a') do t[#t+1]=w end return t\" 0", "eval \"return table.concat({1,2,'x'},',')\" 0", "eval \"local t={3,1,2} table.sort(t) return t\" 0", "eval \"return {unpack({1,2,3})}\" 0", "eval \"return math.floor(3.7)\" 0", "eval \"return math.max(1,5,3)\" 0", "eval \"local s=0 for i,v in ipairs(KEYS) do s=s+i end return s\" 3 a b c", "eval \"return #ARGV[1]\" 0 hello", "eval \"return type(redis.call('time')[1])\" 0", "eval \"return select('#',1,2,3)\" 0",
	},
	"JSON in scripts": {
		"eval \"return cjson.encode({1,2.5,'x',true,false,{}})\" 0", "eval \"return cjson.encode({a=1})\" 0", "eval \"return cjson.encode({[3]='x'})\" 0", "eval \"return cjson.encode({[1]='x',y=2}) ~= ''\" 0", "eval \"return cjson.encode(ARGV[1])\" 0 \"a\\\"b\\\\c/d\\n\\t\\x01\\x7f\\xff\"", "eval \"return cjson.encode(10/3)..cjson.encode(1e20)..cjson.encode(-0.5)\" 0", "eval \"return cjson.encode(nil)..cjson.encode(cjson.null)\" 0", "eval \"return cjson.encode({[10]=1})\" 0", "eval \"return cjson.encode({{{}}})\" 0", "eval \"return cjson.encode(1,2)\" 0",
		"eval \"return cjson.decode(ARGV[1])\" 0 \"[1,2.9,\\\"x\\\",true,false,[3]]\"", "eval \"return cjson.decode(ARGV[1]).a.b\" 0 \" { \\\"a\\\" : {\\\"b\\\":\\\"deep\\\"} } \"", "eval \"return cjson.decode(ARGV[1])\" 0 \"\\\"\\\\u00e9\\\\n\\\\/\\\\ud83d\\\\ude00\\\"\"", "eval \"return {cjson.decode('null') == cjson.null, cjson.decode('[null]')[1] == cjson.null, #cjson.decode('[]'), type(cjson.null)}\" 0", "eval \"return tostring(cjson.decode('1e3'))..tostring(cjson.decode('-0.25'))\" 0", "eval \"return cjson.decode('0x10')\" 0",
		"eval \"return cjson.encode(cjson.decode(ARGV[1]))\" 0 \"[{\\\"k\\\":[1,null,\\\"v\\\"]}]\"", "eval \"cjson.x=1\" 0", "eval \"return cjson.nothing\" 0", "eval \"return pcall(cjson.decode, '[') \" 0", "eval \"local x\\nreturn cjson.decode('[')\" 0",
		"eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"\"", "eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"[1\"", "eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"{1:2}\"", "eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"{\\\"a\\\"}\"", "eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"nonsense\"", "eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"[1] 2\"", "eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"{\\\"a\\\":1 \\\"b\\\"}\"", "eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"\\\"abc\"", "eval \"local ok, e = pcall(function() return cjson.decode(ARGV[1]) end) return e\" 0 \"\\\"\\\\x\\\"\"",
		"eval \"local ok, e = pcall(function() return cjson.encode(print or redis.call) end) return e\" 0", "eval \"local ok, e = pcall(function() return cjson.encode({[true]=1}) end) return e\" 0", "eval \"local ok, e = pcall(function() return cjson.encode(1/0) end) return e\" 0", "eval \"local ok, e = pcall(function() return cjson.encode({[100]=1}) end) return e\" 0", "eval \"local t = {} t[1] = t local ok, e = pcall(function() return cjson.encode(t) end) return e\" 0", "eval \"local ok, e = pcall(function() return cjson.decode(string.rep('[', 2000)) end) return e\" 0",
	},
	"tables in scripts": {
		"eval \"local t={}\\n\\nt.x=redis.call('nonsense')\" 0", "eval \"local t={\\n1,\\n[redis.call('nonsense')]=2}\" 0", "eval \"\\nlocal t=setmetatable({},{__newindex=function(t,k) error(k) end})\\nfunction t.f()\\nend\" 0",
		"eval \"local s,t='hello',{} for i=-6,6 do for j=-6,6 do t[#t+1]=s:sub(i,j) end end return t\" 0", "eval \"return {('x'):sub(1),(''):sub(1,1),('abc'):sub(2)}\" 0",
		"eval \"local t={1,2,a=3,['b']=4} t.c=5 t[3]=6 return {#t,t.a,t.b,t.c,t[3]}\" 0",
		"eval \"local a,b={},{} a[1],b[1],a[2]=1,2,3 return {a[1],b[1],a[2]}\" 0", "eval \"local function two() return 1,2 end local t={two(),two()} return #t\" 0",
		"eval \"local function two() return 1,2 end local t={two(),x=two()} return {#t,t.x}\" 0", "eval \"local t={} t[1],t[2],t[3]=(function() return 7,8 end)() return t\" 0",
		"eval \"local t={} function t:f(a,...) return a+select('#',...) end return t:f(1,2,3)\" 0", "eval \"local function f(...) return arg.n end return f(1,nil,3)\" 0",
		"eval \"local t=setmetatable({},{__newindex=function(t,k,v) rawset(t,k,v+1) end}) t.a=1 return t.a\" 0", "eval \"string.x=1\" 0", "eval \"_G.x=1\" 0",
		"eval \"return {string.gsub('abc def','(%a)(%a)','%2%1')}\" 0", "eval \"return {string.gsub('abc','b',{b='x'})}\" 0", "eval \"return {string.gsub('abc','',function() return '.' end)}\" 0",
		"eval \"return string.gsub('abc','b','%2')\" 0", "eval \"return string.upper('a\\200z')\" 0",
		"eval \"local t={5,2,9} table.sort(t,function(a,b) return a>b end) return t\" 0", "eval \"local t={1,2} table.insert(t,2,9) table.remove(t,1) return t\" 0",
	},
}

// differing are command lines that we answer otherwise, and why.
var differing = []struct{ before, line, ours, why string }{
	{"set k a", "set k b", "-" + errSteal + "\r\n", "the holder would lose its lock without knowing"},
	{"set k a", "setex k 10 b", "-" + errSteal + "\r\n", "as SET"},
	{"set k a", "mset j 1 k b", "-" + errSteal + "\r\n", "as SET, and then for none of them"},
	{"set k a", "set k b xx", "-" + errSteal + "\r\n", "as SET"},
	{"set k a", "ttl k", ":3600\r\n", "there is no lease without an end"},
	{"set k a", "flushall", "-ERR FLUSHALL refused: 1 lock is held; DEL ends it by name\r\n", "it is sent to caches, and reaches us by mistake"},
	{"", "set k a exat 1", "-ERR invalid expire time in 'set' command\r\n", "nobody may believe to hold a lock that is over"},
	{"", "set k a ex 3601", "-ERR invalid expire time in 'set' command: 3601000 ms is more than max-ttl, 3600000 ms\r\n", "leases end"},
	{"set k a", "pexpire k 3600001", "-ERR invalid expire time in 'pexpire' command: 3600001 ms is more than max-ttl, 3600000 ms\r\n", "leases end"},
	{"", "set \"\" a", "-ERR the name of a lock has 1 to 65536 bytes, not 0: out of range\r\n", "stores that are no Redis have no such name"},
	{"", "set holdfast:book a", "-ERR names that begin with \"holdfast:\" are holdfast's own: out of range\r\n", "the stores are shared with it"},
	{"", "publish holdfast:events x", "-" + errOwnChannel + "\r\n", "who hears it must know that it is true"},
	{"set k a", "set k b ifeq a", ok, "of Redis 8.4"},
	{"set k a", "delex k ifeq a", yes, "of Redis 8.4"},
	{"set k a", "delifeq k a", yes, "of Valkey 9"},
	{"", "client setinfo lib-name x", ok, "of Redis 7.2"},
	{"", "cluster foo", "-" + errNoCluster + "\r\n", "CLUSTER has no subcommands here"},
	{"", "xadd k * f v", "-ERR unknown command 'xadd', with args beginning with: 'k' '*' 'f' 'v' \r\n", "only locks are kept"},
	{"", "eval \"return {1,2\" 0", "-ERR Error compiling script (new function): user_script:1: syntax error near '<eof>'\r\n", "another compiler"},
}

func TestRepliesAreRedisOwn(t *testing.T) {
	compareWithRedis(t, alike)
}

// compareWithRedis sends groups of command lines to a real server and to us.
func compareWithRedis(t *testing.T, groups map[string][]string) {
	t.Helper()
	server := storetest.StartRedis(t)
	for name, lines := range groups {
		for _, proto := range []string{"2", "3"} {
			t.Run(name+" in RESP"+proto, func(t *testing.T) {
				redis, us := dialPeer(t, server.Addr()), newHouse(t, 0).guest()
				redis.do("hello", proto)
				us.do("hello", proto)
				redis.do("flushall")
				redis.do("script", "flush")
				for _, line := range lines {
					args := words(t, line)
					if got, want := us.do(args...), redis.do(args...); got != want {
						t.Errorf("%s\n   we said %.300q\nRedis says %.300q", line, got, want)
					}
				}
			})
		}
	}
}

func TestIntendedDifferencesFromRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	for _, proto := range []string{"2", "3"} {
		for _, d := range differing {
			redis, us := dialPeer(t, server.Addr()), newHouse(t, 0).guest()
			redis.do("hello", proto)
			us.do("hello", proto)
			redis.do("flushall")
			if d.before != "" {
				redis.do(words(t, d.before)...)
				us.ask(d.before)
			}
			got, theirs := us.ask(d.line), redis.do(words(t, d.line)...)
			if got != d.ours {
				t.Errorf("%s; %s\n got %q\nwant %q", d.before, d.line, got, d.ours)
			}
			if got == theirs {
				t.Errorf("%s; %s: Redis says %q too, so it is no difference", d.before, d.line, theirs)
			}
		}
	}
}
