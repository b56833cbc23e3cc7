package commands

import (
	"strconv"
	"strings"
	"testing"
)

// evals returns command lines that run scripts.
func evals(scripts ...string) (lines []string) {
	for _, s := range scripts {
		lines = append(lines, "eval "+strconv.Quote(s)+" 0")
	}
	return lines
}

// each returns a script for every expression, which says what it is.
func each(of ...string) (scripts []string) {
	for _, e := range of {
		scripts = append(scripts, "local ok, v = pcall(function() return "+e+" end) return {tostring(ok), type(v), tostring(v)}")
	}
	return scripts
}

func TestNumbersOfScriptsAreAsInRedis(t *testing.T) {
	read := []string{"'+7'"}
	for _, text := range []string{
		`1e3`, `1e-05`, `1e+15`, `12345678901234567890`, ` 10 `, `\t\n10\r\v\f`, `0x10`, `0X1f`, `-0x10`, `0x`, `0xg`, `0x1p4`, `0x.8`, `0x8.`, `010`, `-010`, `1_000`, `0b11`, `0o17`,
		`inf`, `-inf`, `Infinity`, `+INF`, `infx`, `nan`, `-nan`, `+nan`, `nan(1)`, `nan(`, `1e`, `1e+`, `.5`, `5.`, `.`, ``, ` `, `-`, `+ 1`, `- 1`, `1 2`, `1,5`, `1.5.5`, `1e400`, `-1e400`, `1e-400`,
		`1\0x`, `\0`, `0x1\0`, `9007199254740993`, `1797693134862315700000`, `1e3x`, `١`, `\255`, `--1`, `0x-1`, `1d`, `1f`, `0.1e1`, `1E5`, `00`, `-0`,
	} {
		read = append(read, "'"+text+"'")
	}
	var scripts []string
	for _, text := range read {
		scripts = append(scripts, each("tonumber("+text+")", text+"+0", "-"+text, "math.floor("+text+")", "string.sub('abc',"+text+")")...)
	}
	compareWithRedis(t, map[string][]string{
		"texts as numbers": evals(scripts...),
		"bases": evals(each(
			`tonumber('ff',16)`, `tonumber('FF','16')`, `tonumber('0xff',16)`, `tonumber('0x',16)`, `tonumber('0xg',16)`, `tonumber('-1',16)`, `tonumber('-ff',16)`, `tonumber('+7',8)`, `tonumber('8',8)`, `tonumber('z',36)`, `tonumber('7.',8)`, `tonumber(15,8)`, `tonumber(1e15,16)`,
			`tonumber(' 11 ',2)`, `tonumber('',2)`, `tonumber('1 1',2)`, `tonumber('1\0z',2)`, `tonumber('ffffffffffffffffffff',16)`, `tonumber('-ffffffffffffffffffff',16)`, `tonumber('18446744073709551615',7)`, `tonumber('10',10)`, `tonumber('1e1',10)`, `tonumber('1e1',16)`, `tonumber(10,'10')`, `tonumber(nil)`, `tonumber({})`, `tonumber(true)`, `tonumber('0b11',2)`, `tonumber('1_0',2)`,
		)...),
		"operators": evals(each(
			`'10'+5`, `5-'10'`, `'2'*'3'`, `'1'/'0'`, `'-7'%'3'`, `'7'%'-3'`, `'2'^'10'`, `-'2'`, `-' 0x10 '`, `'1e3'..1`, `1e15 ..''`, `'10'<'9'`, `'a'..1/0 ..-1/0`, `0/0`, `-(0/0)`, `-0.0`, `2^53`, `1e100`, `123456789012345678`, `0.1`, `1/3`, `-1e15`, `1e14`, `123456.789e3`,
			`'5'%math.huge`, `'1'+setmetatable({},{__add=function(a,b) return a..'t' end})`, `setmetatable({},{__add=function(a,b) return b..'t' end})+'1'`, `'x'+setmetatable({},{__add=function(a,b) return a..'t' end})`,
			`-setmetatable({},{__unm=function() return 'u' end})`, `'1'*setmetatable({},{__mul=function() return 1,2 end})`,
		)...),
		"operators that fail": evals(
			`return 'x'+0`, `return 0+'x'`, `return {}+'1'`, `return '1'+{}`, `return '10'+nil`, `return -'x'`, `return '1_000'+0`, `return '0b11'+0`, `return 'a'*'b'`, `return true-'1'`, `return '1'^{}`, `return 'x'/1`, `return 'x'%1`, `return ('x').foo`, `return {tostring(rawget(string,'__add')),tostring(string.__index),tostring(string.__add)}`,
		),
		"numbers as texts": evals(each(
			`string.len(1e15)`, `string.upper(1e15)`, `string.lower(1e15)`, `string.reverse(1e15)`, `string.rep(1e15,2)`, `string.sub(1e15,2)`, `string.find(1e15,'+',1,true)`, `string.match(1e15,'%d')`, `string.gsub(1e15,'e',1e15)`, `string.byte(1e15,2)`, `table.concat({1,2},1e15)`, `table.concat({1e15,2e15},',')`, `(1e15 ..''):len()`, `tostring(1e15)`, `#tostring(2^63)`, `string.len(-0.0)`, `string.len(0/0)`, `string.gsub('1e+15',1e15,'x')`, `string.find('x1','1')`, `string.find('x1',1)`,
			`redis.call('echo',1e15)`, `redis.call('echo',0/0)`, `redis.call('echo',1/0)`, `redis.call('echo',0.1)`, `redis.sha1hex(1e15)`,
		)...),
		"texts where numbers are wanted": evals(each(
			`string.sub('abcdef','2','4')`, `string.sub('abcdef','-3')`, `string.sub('abcdef',' 2 ','0x3')`, `string.sub('abcdef',2.9,'4.9')`, `string.sub('abc',1,math.huge)`, `string.sub('abc',-math.huge,3)`, `string.sub('abc',0/0)`, `string.sub('abc',1,1e300)`, `string.sub('abc',nil)`, `string.rep('x','3')`, `string.rep('x','-1')`, `string.rep('x',2.9)`, `string.byte('abc','2')`, `string.byte('abc',-1)`, `string.byte('abc',10)`, `string.byte('abc',0)`, `string.byte('')`, `string.char('65',66.5)`, `string.char()`,
			`select('2','a','b','c')`, `select('-1','a','b')`, `select('#',1,2)`, `select('#x',1,2)`, `select(5,1)`, `table.concat({1,2,3},',','2','3')`, `table.concat({1,2,3},',',nil,2)`, `unpack({7,8,9},'2')`, `unpack({7,8,9},'2','2')`, `unpack({7,8,9},nil,'1')`, `math.max('10',9)`, `math.max(1,'1e3')`, `math.abs('-3')`, `math.pow('2','3')`, `math.fmod('7',3)`, `math.mod(-5,3)`, `math.ldexp('1','4')`, `math.modf(-3.5)`, `math.modf(math.huge)`, `math.sqrt('16')`, `math.random('1','1')`, `math.random('1')`,
			`string.find('abcabc','b','3')`, `string.match('abcabc','b()','3')`, `string.gsub('aaa','a','b','2')`,
		)...),
		"many values": evals(
			`return {string.byte('abcdef','2','4')}`, `return {string.byte('abc',-2,-1)}`, `return {string.byte('abc',2,1)}`, `return {string.byte('abc',-10,10)}`, `return {string.byte('abc',1,math.huge)}`, `return {select('2','a','b','c')}`, `return {select(-2,'a','b','c')}`, `return {unpack({7,8,9},'2')}`, `return {unpack({7,8,9},1,math.huge)}`, `return {unpack({7,8,9},math.huge,2)}`, `return {string.rep('x',2^32+1),string.rep('x',math.huge)}`, `return {string.char(2^32+65)}`, `return {select(2^32+2,'a','b')}`,
			`local t={1,2,3} t[3]=nil return {table.remove(t),#t}`, `local t={1,2,3} t[3]=nil table.insert(t,7) return t`, `local t={1,2,3} return {table.remove(t,1),table.remove(t),table.remove(t),tostring(table.remove(t)),#t}`, `return {table.remove({1,2,3},0)}`, `return {table.remove({1,2,3},-1)}`, `return {table.remove({1,2,3},5)}`, `return select('#',table.remove({}))`,
			`local t={1,2} table.insert(t,'1',9) return t`, `local t={1,2,3} table.remove(t,'1') return t`, `local t={1,2,3} return table.remove(t,2)`,
		),
		"wrong arguments": evals(
			`return string.sub('abc','x')`, `return string.sub('abc',{})`, `return string.sub()`, `return string.sub('abc')`, `return string.sub('abc',1,true)`, `return string.rep('x')`, `return string.rep({},1)`, `return string.upper({})`, `return string.len()`, `return string.len(nil)`, `return string.char(256)`, `return string.char(-1)`, `return string.char('x')`, `return string.char(65,{})`, `return string.byte('a','x')`,
			`return select('x',1)`, `return select(0,1)`, `return select(-5,1)`, `return select()`, `return select({})`, `return tonumber()`, `return tonumber('10',99)`, `return tonumber('10',1)`, `return tonumber({},16)`, `return tonumber('x','y')`, `return tonumber(nil,2)`, `return unpack({1},'x')`, `return unpack()`, `return unpack(1)`, `return math.floor('x')`, `return math.floor()`, `return math.max()`, `return math.max(1,'x')`, `return math.pow(1)`, `return math.random(0)`, `return math.random(math.huge)`, `return math.random(3,1)`, `return math.random(1,2,3)`, `return math.random('x')`,
			`return table.concat({1,{}})`, `return table.concat({1},{})`, `return table.concat()`, `return table.concat({},',','x')`, `return table.insert({},'x',2)`, `return table.insert(nil,2)`, `return table.insert({1})`, `return table.insert({1},2,3,4)`, `return table.remove()`, `return table.remove({},'x')`, `return error('x',{})`, `error('x','0')`,
			`return tostring()`, `return type()`, `return assert()`, `return assert(false)`, `return assert(nil,'why %d')`, `return assert(false,1e15)`, `return assert(false,{})`, `return assert(1,{2})`, `return {assert(1,2,3)}`, `return pairs()`, `return pairs(1)`, `return next()`, `return next({},nil)`, `return rawget({})`, `return rawget(1,2)`, `return rawequal(1)`, `return rawset({},1)`, `return getmetatable()`,
		),
		"infinity": append(evals(`return tostring(math.huge)..tostring(-math.huge)`, `return {tostring(math.huge==1/0),tostring(math.huge)}`, `return redis.call('zadd','z',math.huge,'m')`),
			`zscore z m`, `zadd z 1e17 n`, `eval "return tostring(tonumber(redis.call('zscore',KEYS[1],'n')))" 1 z`, `eval "return redis.call('zscore',KEYS[1],'n')+1 == 1e17+1" 1 z`, `eval "return tostring(tonumber(redis.call('zscore',KEYS[1],'m')))" 1 z`),
	})
}

func TestFormatsOfScriptsAreAsInRedis(t *testing.T) {
	var scripts []string
	for _, n := range []string{"0", "1", "-1", "255", "-255", "3.7", "-3.7", "2^53", "-2^63", "2^63", "2^64", "1e300", "-1e300", "0.1", "-0.0", "1e-10", "123456789", "1/0", "-1/0", "0/0", "100000", "1e6", "1e5+0.5", "'1e3'"} {
		var parts []string
		for _, flags := range []string{"", "-", "+", " ", "#", "0", "-0", "+0", " 0", "#0", "+ ", "-+#0"} {
			for _, size := range []string{"", "8", "12.3", ".0", ".", "25.10", "3", ".8"} {
				parts = append(parts, "%"+flags+size)
			}
		}
		for _, verb := range "cdiouxXeEfgG" {
			format := strings.Join(parts, string(verb)+"|") + string(verb)
			scripts = append(scripts, "local a={} for i=1,"+strconv.Itoa(len(parts))+" do a[i]="+n+" end return string.format('"+format+"',unpack(a))")
		}
	}
	compareWithRedis(t, map[string][]string{
		"numbers": evals(scripts...),
		"texts": evals(
			`return string.format('%.0f','1795714550123.7')`, `return string.format('%d','1795714550123.7')`, `return string.format('%x','1e3')`, `return string.format('%u',-1)`, `return string.format('%5.1f','2.25')`, `return string.format('%5.1f|%-9s|%q|%%|%c%c',2.25,'x','y',72,'105')`,
			`return string.format('%s',1e15)`, `return string.format('%s',0.1)`, `return string.format('%10s|%-10s|%.2s|%10.1s|%010s|%+s|% s|%#s','abc','abc','abc','abc','abc','abc','abc','abc')`, `return string.format('%.s','abc')`, `return string.format('%.0s','abc')`, `return string.format('%q',1e15)`, `return string.format('%-5q','x')`,
			`return string.format('%99s',('x'):rep(99))`, `return string.format('%5s',('x'):rep(150))`, `return string.format('%.5s',('x'):rep(150))`, `return string.format('%99.99f',-1.7976931348623157e308)`, `return string.format('%99.99e',1/3)`, `return string.format('%.99g',0.1)`, `return string.format('%s','a\0b')`, `return string.format('%5s','a\0b')`, `return string.format('%s',('a\0b'):rep(50))`, `return string.format('a\0%d\0b',1)`,
			`return string.format('%c',0)`, `return string.format('%5c|',0)`, `return string.format('%-5c|',0)`, `return string.format('%c',256+65)`, `return string.format('%c',-1)`, `return string.format('%c',65.9)`,
			`return string.format('%q','a\n\r\0"\\t\255')`, `return string.format('')`, `return string.format('%%')`, `return string.format('%%%%d',1)`, `return string.format('x','unused')`, `return string.format(1e15)`, `return string.format('%s %s',1,2,3)`, `return ('%s=%d'):format('k',7)`,
		),
		"mistakes": evals(
			`return string.format('%d','x')`, `return string.format('%d','')`, `return string.format('%d',{})`, `return string.format('%d',nil)`, `return string.format('%s %s','a')`, `return string.format('%d')`, `return string.format('%')`, `return string.format('%',1)`, `return string.format('abc%',1)`, `return string.format('%s',nil)`, `return string.format('%s',{})`, `return string.format('%s',true)`, `return string.format('%q',{})`, `return string.format('%q')`, `return string.format('%c','x')`, `return string.format('%f','1_0')`, `return string.format()`, `return string.format({})`,
			`return string.format('%y',1)`, `return string.format('%p','x')`, `return string.format('%n',1)`, `return string.format('%a',1)`, `return string.format('%F',1)`, `return string.format('%ld',1)`, `return string.format('%*d',1,2)`, `return string.format('%[1]s','x')`, `return string.format('%\0',1)`, `return string.format('%5%',1)`, `return string.format('%v',1)`, `return string.format('%T',1)`, `return string.format('%U',1)`, `return string.format('%b',1)`, `return string.format('%t',true)`,
			`return string.format('%------d',1)`, `return string.format('%-+ #0d',1)`, `return string.format('%-----d',1)`, `return string.format('%123d',1)`, `return string.format('%1.123d',1)`, `return string.format('%0100d',1)`, `return string.format('%.100f',1)`, `return string.format('%1..2f',1)`,
		),
	})
}

func TestPatternsOfScriptsAreAsInRedis(t *testing.T) {
	subjects := []string{"''", "'hello world'", "'THE (quick) fox'", "'key=value, k2 = v2'", "'a.b-c]d^e%f'", "'x:y::z'", "'[[nested [brackets]] ]'", `'\0a\0b\255'`, `'  trim me\t'`, "'aaaa'", "12345.5"}
	var scripts []string
	for _, subject := range subjects {
		for _, pattern := range []string{
			``, `.`, `l+`, `%a+`, `%f[%w]%w+`, `%f[%W]`, `%f[^%z]`, `%f[%z]`, `(%w+)=(%w+)`, `(%w+)%s*=%s*(%w+)`, `()%a()`, `[^:]+`, `[^:]*`, `:*`, `^%s*(.-)%s*$`, `^a`, `a$`, `$`, `^`, `^$`, `a^b`, `$a`, `%b()`, `%b[]`, `%bxx`, `(a)(a)%1`, `(.)%1`, `((.)(.))`, `[%]]`, `[]]`, `[]a]`, `[^]]`, `[a-]`, `[-a]`, `[a-c]+`, `[a%-c]`, `[%a-z]`, `[^%s]+`, `[%w_]+`,
			`a-b`, `.-e`, `(.-)%.(.*)`, `%d+%.?%d*`, `a?a?a?a?`, `a*a*`, `%z`, `%Z+`, `%x+`, `%p`, `%c`, `%u%u`, `%L+`, `%%`, `%.`, `%$`, `x*`, `-`, `*`, `+a`, `?`, `(a*(.)%w(%s*))`, `%s`, `.%f[%z]`, `[\0]`, `a\0b`,
		} {
			p := "'" + pattern + "'"
			scripts = append(scripts,
				"return {string.find("+subject+","+p+")}", "return {string.find("+subject+","+p+",3)}", "return {string.match("+subject+","+p+",-4)}",
				"local r={} for a,b in string.gmatch("+subject+","+p+") do r[#r+1]=tostring(a)..'/'..tostring(b) end return r",
				"return {string.gsub("+subject+","+p+",'<%0>')}", "return {string.gsub("+subject+","+p+",'%1',2)}", "return {string.gsub("+subject+","+p+",function(...) return select('#',...)..':'..tostring((...)) end)}", "return {string.gsub("+subject+","+p+",{l='L',a=1,key=false})}",
			)
		}
	}
	compareWithRedis(t, map[string][]string{
		"matches": evals(scripts...),
		"gmatch": evals(
			`local it=string.gmatch('x:y','[^:]+') return {it(),it(),tostring(it())}`, `local it=string.gmatch('x:y','[^:]+') it() it() return {tostring(it()),tostring(it()),select('#',it())}`, `local it=('k=v'):gmatch('(%w)=(%w)') return {it()}`, `local a,b=('12'):gmatch('.'),('34'):gmatch('.') return {a(),b(),a(),b()}`, `return type(string.gmatch('',''))`, `local n=0 for _ in ('abc'):gmatch('') do n=n+1 end return n`, `local r={} for w in ('one two'):gmatch('%a+') do r[#r+1]=w for c in w:gmatch('.') do r[#r+1]=c end end return r`,
			`local r={} for a in ('^a^a'):gmatch('^a') do r[#r+1]=a end return r`, `local it=string.gfind('x:y','[^:]+') return {it(),it()}`, `local it=string.gmatch(1e15,'%d') return {it(),it()}`, `local r={} for k,v in string.gmatch('a=1,b=2','(%w)=(%w)') do r[#r+1]=k..v end return r`,
		),
		"long ones": evals(
			`return {string.match('2024-01-02T03:04:05','(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)')}`, `return {string.match('key1=value1;key2=value2;key3=value3','(.-)=(.-);(.-)=(.-);(.-)=(.*)')}`, `return {string.find(string.rep('a',700),'a-b')}`, `return {string.find('',string.rep('a*',900))}`, `return {string.find('aaa',string.rep('a?',900))}`, `local n=0 for w in string.gmatch(string.rep('ab,',20000),'[^,]+') do n=n+1 end return n`, `return #string.gsub(string.rep('ab,',20000),'%w+','x')`, `return {string.find(string.rep('a,',40000),',%f[%z]')}`,
		),
		"searches": evals(
			`return {string.find('a.b','.',1,true)}`, `return {string.find('a.b','.',2,true)}`, `return {string.find('abc','b',-1)}`, `return {string.find('abc','b',-2)}`, `return {string.find('abc','',10)}`, `return {string.find('abc','',4)}`, `return {string.find('','')}`, `return {string.find('abc','c',math.huge)}`, `return {string.find('a]','a]')}`, `return {string.find('a)','a)')}`, `return {string.find('abc','b',nil,nil)}`, `return {string.find('a+','+',1,1)}`, `return {string.find('a\0b','\0b')}`, `return {string.find('a\0b','\0',1,true)}`, `return {string.find('abc','[b',1,true)}`, `return {string.match('abc','b',3)}`, `return {string.match('2024-01-02','(%d+)-(%d+)-(%d+)')}`, `return {string.find(1e15,'+',1,true)}`, `return {string.find('a','a',1,true,1)}`,
		),
		"replacements": evals(
			`return {string.gsub('abc','b','%%')}`, `return {string.gsub('abc','b','%')}`, `return {string.gsub('abc','b','%x')}`, `return {string.gsub('abc','(b)','[%1%0]')}`, `return {string.gsub('abc','','-')}`, `return {string.gsub('abc','%w*','x')}`, `return {string.gsub('abc','b',1e15)}`, `return {string.gsub('abc','.',{a=1e15,b=true and 'B'})}`, `return {string.gsub('aaa','a','b',0)}`, `return {string.gsub('aaa','a','b',-1)}`, `return {string.gsub('aaa','a','b',2)}`, `return {string.gsub('aaa','^a','b')}`, `return {string.gsub('hello','(l)(l)',function(a,b) return b..a..'!' end)}`, `return {string.gsub('abc','%w',function(c) if c=='b' then return false end return nil end)}`, `return {string.gsub('abc','()',function(p) return p end)}`, `return {string.gsub('abc','()b','%1')}`, `return {string.gsub('abc def','%f[%w]%w+',string.upper)}`, `return {string.gsub('x','x',setmetatable({},{__index=function(_,k) return k..k end}))}`,
			`return {string.gsub('abc','(a)(b)(c)','%3%2%1')}`, `return {string.gsub('a b','(%w) (%w)','%2 %1')}`, `return {string.gsub('abc','b','\0')}`,
		),
		"mistakes": evals(
			`return string.find('a','[a')`, `return string.find('a','[')`, `return string.find('a','[^')`, `return string.find('a','[]')`, `return string.find('a','[%')`, `return string.find('a','[%a')`, `return string.find('a','%')`, `return string.find('a','a%')`, `return string.find('a','(a')`, `return string.find('a','(')`, `return string.match('a','a)')`, `return string.match('a',')')`, `return string.find('a','%1')`, `return string.find('a','%0')`, `return string.find('aa','(a%1)')`, `return string.find('aa','(a)%2')`, `return string.find('a','%f')`, `return string.find('a','%fa')`, `return string.find('a','%f[a')`, `return string.find('a','%b')`, `return string.find('a','%bx')`, `return string.match('a',('()'):rep(33))`, `return #{string.match('a',('()'):rep(32))}`,
			`return string.gsub('a','a','%2')`, `return string.gsub('a','(a)','%2')`, `return string.gsub('a','a',true)`, `return string.gsub('a','a')`, `return string.gsub('a','a',nil)`, `return string.gsub('a','a',function() return {} end)`, `return string.gsub('a','a',{a={}})`, `return string.gsub('a','a',function() return true end)`, `return string.find('a')`, `return string.find({},'a')`, `return string.find('a','a',{})`, `return string.match()`, `return string.gmatch('a')`, `return string.gmatch('a',nil)`, `return string.gsub('a','(','x')`, `return string.gsub('a','a','b','x')`, `local x return string.gsub('a','a',function() error('inside') end)`,
		),
	})
}

func TestRepliesOfScriptsAreAsInRedis(t *testing.T) {
	returned := []string{
		`return {map={a=1}}`, `return {map={1,2}}`, `return {map={}}`, `return {map={a={map={b={1,2}}}}}`, `return {map=3}`, `return {map={[{1,2}]={ok='fine'}}}`, `return {map={a=false}}`, `return {map={a={err='MY error'}}}`,
		`return {set={x=true}}`, `return {set={1,2}}`, `return {set={}}`, `return {set='x'}`, `return {set={[{set={a=1}}]=false}}`, `return {set={x=1},map={y=2}}`, `return {1,{map={a={set={b=1}}}},{double=1.5}}`, `return {map={a=1},1,2}`, `return {ok='x',map={a=1}}`,
		`return {big_number=123}`, `return {double='3'}`, `return {double=1/0}`, `return {double=-1/0}`, `return {double=1e20}`, `return {double=-0.0}`, `return {verbatim_string={format='txt',string='some text'}}`, `return {verbatim_string={string='x'}}`, `return {verbatim_string='x'}`, `return {verbatim_string={format=1,string='x'}}`, `return {verbatim_string={format='txt',string=''}}`, `return {err=1}`, `return {ok=1}`,
	}
	fields := []string{`err='E x'`, `ok='o'`, `double=1`, `verbatim_string={format='txt',string='v'}`, `map={a=1}`, `set={b=1}`}
	for i := range fields { // of two, which is looked at
		for j := range i {
			returned = append(returned, "return {"+fields[i]+","+fields[j]+"}", "return {"+fields[j]+","+fields[i]+"}")
		}
	}
	asked := []string{
		`return true`, `return false`, `return nil`, `return {true,false}`, `return {map={a=true}}`, `return redis.call('hgetall','h')`, `return redis.call('smembers','s')`, `return redis.call('zscore','z','m')`, `return redis.call('zscore','z','none')`, `return redis.call('zincrby','z','1','m')`, `return redis.call('zrange','z','0','-1','withscores')`, `return redis.call('zrange','z','0','-1')`,
		`return redis.call('set','k','v')`, `return redis.call('set','k','v').ok`, `return redis.call('get','none')`, `return tostring(redis.call('get','none'))`, `return {redis.call('get','none'),1}`, `return redis.call('mget','none','k')`, `return redis.call('get','k')`, `return redis.call('exists','k')`, `return type(redis.call('zmscore','z','m','none')[2])`, `return redis.call('lrange','none',0,-1)`, `redis.call('nonsense')`, `return redis.pcall('nonsense')`, `return redis.call('sismember','s','x')`, `return redis.call('set','none2','v','xx')`, `redis.setresp(2) return redis.call('hgetall','h')`, `redis.setresp(2) return {tostring(redis.call('get','none')),true,false}`, `return redis.error_reply('MY error')`, `return redis.status_reply('fine')`, `return redis.call('hget','h','none')`, `return redis.call('zpopmin','none')`,
	}
	before := []string{"hset h a 1", "sadd s x", "zadd z 1.5 m", "set k v"}
	three := []string{
		`redis.setresp(3) local r=redis.call('hgetall','h') return {type(r.map),r.map.a}`, `redis.setresp(3) local r=redis.call('smembers','s') return {type(r.set),tostring(r.set.x)}`, `redis.setresp(3) return redis.call('zrange','z','0','-1','withscores')[1][2].double`, `redis.setresp(3) return tostring(redis.call('zscore','z','m').double)`,
	}
	for _, script := range asked {
		three = append(three, "redis.setresp(3) "+script)
	}
	compareWithRedis(t, map[string][]string{
		"returned":              evals(returned...),
		"by the rules of RESP2": append(before, evals(asked...)...),
		"by the rules of RESP3": append(before, evals(three...)...),
		"one after the other":   evals(`redis.setresp(3) return true`, `return true`, `return {tostring(redis.call('get','none'))}`),
	})
}

func TestWhatScriptsWriteIsReadAsInRedis(t *testing.T) {
	compareWithRedis(t, map[string][]string{
		"big numbers": evals(`return {big_number='123'}`, `return {big_number=''}`, `return {big_number='1\r\n2'}`, `return {big_number='9',double=1}`, `return {big_number='9',map={a=1}}`,
			`return {big_number='9',verbatim_string={format='txt',string='v'}}`),
		"texts for people": evals(`return {verbatim_string={format='mark',string='x'}}`, `return {verbatim_string={format='mrk',string='x'}}`, `return {verbatim_string={format='m',string='x'}}`),
		"literals":         evals(each(`0010`, `0010+1`, `1e309`, `-1e309`, `0x10`, `1e3`, `5e-324`, `9007199254740993`)...),
	})
}

func TestWhatRedisTellsScriptsIsAsInRedis(t *testing.T) {
	compareWithRedis(t, map[string][]string{
		"setresp":  evals(`redis.setresp()`, `redis.setresp(1)`, `redis.setresp("3")`, `redis.setresp("x")`, `redis.setresp({})`, `redis.setresp(2,3)`, `redis.setresp(3.5)`, `return redis.setresp(3)`, `redis.setresp(0/0)`, `return {pcall(redis.setresp,4)}`),
		"set_repl": evals(`redis.set_repl()`, `redis.set_repl(9)`, `redis.set_repl("x")`, `redis.set_repl("1")`, `return redis.set_repl(redis.REPL_NONE)`, `redis.set_repl({})`, `redis.set_repl(-1)`, `redis.set_repl(1,2)`, `redis.set_repl(1.5)`, `redis.set_repl(redis.REPL_ALL) redis.set_repl(redis.REPL_AOF) redis.set_repl(redis.REPL_SLAVE) redis.set_repl(redis.REPL_REPLICA)`, `return {redis.REPL_ALL,redis.REPL_AOF,redis.REPL_NONE,redis.REPL_REPLICA,redis.REPL_SLAVE}`),
		"log":      evals(`return redis.log('1','x')`, `return redis.log('x','x')`, `return redis.log(9,'x')`, `return redis.log(-1,'x')`, `return redis.log(1.5,1e15)`),
		"others":   evals(`return redis.breakpoint()`, `return {tostring(redis.breakpoint())}`, `return redis.debug()`, `return {redis.debug("a",{1})}`, `return redis.acl_check_cmd("get","x")`, `return redis.acl_check_cmd("foo")`, `return redis.acl_check_cmd()`, `return redis.acl_check_cmd("get")`, `return redis.acl_check_cmd({})`, `return redis.replicate_commands()`),
	})
}

func TestScriptsAreToldTheVersionOfRedis(t *testing.T) {
	for version, number := range map[string]string{"7.0.15": ":458767\r\n", "8.4.0": ":525312\r\n", "7": ":458752\r\n", "7.2.4-rc1": ":459268\r\n"} {
		g := newHouse(t, 0, func(o *Options) { o.RedisVersion = version }).guest()
		if got, want := g.eval("return {redis.REDIS_VERSION,redis.REDIS_VERSION_NUM}", 0), arrayOf(bulkOf(version), number); got != want {
			t.Errorf("of version %s scripts are told %q, want %q", version, got, want)
		}
	}
}

func TestShebangsOfScriptsAreAsInRedis(t *testing.T) {
	var lines []string
	for _, script := range []string{
		"#!lua\nreturn 1", "#!lua \nreturn 1", "#!lua\r\nreturn 1", "#!lua\n\nerror('x')", "#!lua\nreturn redis.call('set',KEYS[1],'v')", "#!lua\nreturn redis.call('get',KEYS[1])", "#!lua flags=\nreturn 1",
		"#!lua flags=no-writes\nreturn redis.call('get',KEYS[1])", "#!lua flags=no-writes\nreturn redis.call('set',KEYS[1],'v')", "#!lua flags=no-writes\nreturn redis.pcall('del',KEYS[1])", "#!lua flags=no-writes\nreturn redis.call('publish','a','b')", "#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn redis.call('del',KEYS[1])", "#!lua flags=allow-oom flags=no-writes\nreturn redis.call('del',KEYS[1])", "#!lua flags=allow-oom\nreturn redis.call('exists',KEYS[1])",
		"#!lua name=x\nreturn 1", "#!lua foo\nreturn 1", "#!lua FLAGS=no-writes\nreturn 1", "#!lua flags=foo\nreturn 1", "#!lua flags=no-writes,\nreturn 1", "#!lua flags=no-writes,,allow-oom\nreturn 1", "#!lua flags=NO-WRITES\nreturn 1", "#!lua flags=no-writes allow-oom\nreturn 1", "#!lua flags=no\nreturn 1", "#!lua flags=no-writes,foo name=x\nreturn 1",
		"#!", "#!lua", "#!lua return 1", "#!\nreturn 1", "#! lua\nreturn 1", "#!js\nreturn 1", "#!lua5.1\nreturn 1", "#!/usr/bin/lua\nreturn 1", "#!LUA\nreturn 1", "#!lua \"flags\nreturn 1", "#!lua\n",
	} {
		for _, command := range []string{"eval", "eval_ro"} {
			lines = append(lines, "set k a", command+" "+strconv.Quote(script)+" 1 k", "get k", "del k")
		}
		lines = append(lines, "script load "+strconv.Quote(script))
	}
	compareWithRedis(t, map[string][]string{
		"EVAL": lines,
		"EVALSHA": {
			"script load \"#!lua flags=no-writes\\nreturn redis.call('del','k')\"", "evalsha fa69fe0f5bdfc114af24269cb648da870591cdf0 0", "evalsha_ro fa69fe0f5bdfc114af24269cb648da870591cdf0 0", "multi", "eval \"#!lua flags=no-writes\\nreturn redis.call('del','k')\" 0", "eval \"#!lua flags=no-writes\\nreturn redis.call('exists','k')\" 0", "eval_ro \"#!lua\\nreturn 1\" 0", "eval \"#!lua x\\nreturn 1\" 0", "eval \"#!lua\\nreturn 7\" 0", "exec",
		},
	})
}
