package commands

import (
	"strconv"
	"sync"

	"github.com/yuin/gopher-lua/ast"
)

// plainOf returns a script as a [plainScript], nil if it is none. What is plain:
//
//	local x = value        if value then ... elseif ... else ... end
//	redis.call(value, ...) return value
//
// where a value is a text, a whole number, true, false, nil, x, KEYS[n], ARGV[n],
// redis.call(value, ...), or two of these with ==, ~=, and, or, or one with not.
func plainOf(statements []ast.Stmt) *plainScript {
	s := &scope{}
	body := s.block(statements)
	if s.foreign {
		return nil
	}
	return &plainScript{body: body, locals: s.most, named: !s.strays}
}

// A scope turns a syntax tree into a plain script, unless something in it is
// foreign to those.
type scope struct {
	names   []string // of the locals that are visible
	keyed   []bool   // of each of them: it is one of KEYS
	most    int      // at a time
	depth   int
	foreign bool
	strays  bool // a lock may be used that is none of KEYS
}

const (
	plainDepth = 32 // of what is inside one another
	plainWords = 32 // locals, and arguments of a call
)

func (s *scope) block(statements []ast.Stmt) block {
	defer func(outer int) { s.names, s.keyed = s.names[:outer], s.keyed[:outer] }(len(s.names))
	b := make(block, len(statements))
	for i, st := range statements {
		b[i] = s.statement(st)
	}
	return b
}

func (s *scope) enter() (leave func()) {
	s.depth++
	s.foreign = s.foreign || s.depth > plainDepth
	return func() { s.depth-- }
}

func (s *scope) statement(st ast.Stmt) statement {
	defer s.enter()()
	if s.foreign {
		return nil
	}
	switch st := st.(type) {
	case *ast.LocalAssignStmt:
		return s.local(st)
	case *ast.IfStmt:
		condition, then, otherwise := s.value(st.Condition), s.block(st.Then), s.block(st.Else)
		return func(r *plainRun) (word, bool) {
			if condition(r).holds() {
				return then.run(r)
			}
			return otherwise.run(r)
		}
	case *ast.FuncCallStmt:
		call := s.value(st.Expr)
		return func(r *plainRun) (word, bool) { return call(r), false }
	case *ast.ReturnStmt:
		switch len(st.Exprs) {
		case 0:
			return func(*plainRun) (word, bool) { return word{}, true }
		case 1:
			value := s.value(st.Exprs[0])
			return func(r *plainRun) (word, bool) { return value(r), true }
		}
	}
	s.foreign = true
	return nil
}

func (s *scope) local(st *ast.LocalAssignStmt) statement {
	if len(st.Names) != 1 || len(st.Exprs) != 1 || len(s.names) == plainWords {
		s.foreign = true
		return nil
	}
	value, at := s.value(st.Exprs[0]), len(s.names) // the name is not visible in its own value
	s.keyed = append(s.keyed, s.isKey(st.Exprs[0]))
	s.names = append(s.names, st.Names[0])
	s.most = max(s.most, len(s.names))
	return func(r *plainRun) (word, bool) {
		r.locals[at] = value(r)
		return word{}, false
	}
}

func (s *scope) value(e ast.Expr) expression {
	defer s.enter()()
	if s.foreign {
		return nil
	}
	switch e := e.(type) {
	case *ast.TrueExpr:
		return constant(wordOf(true))
	case *ast.FalseExpr:
		return constant(wordOf(false))
	case *ast.NilExpr:
		return constant(word{})
	case *ast.StringExpr:
		return constant(word{kind: wordText, text: []byte(e.Value)})
	case *ast.NumberExpr:
		return s.number(e, 1)
	case *ast.UnaryMinusOpExpr:
		if n, ok := e.Expr.(*ast.NumberExpr); ok {
			return s.number(n, -1)
		}
	case *ast.IdentExpr:
		if at := s.find(e.Value); at >= 0 {
			return func(r *plainRun) word { return r.locals[at] }
		}
	case *ast.AttrGetExpr:
		return s.element(e)
	case *ast.FuncCallExpr:
		return s.call(e)
	case *ast.UnaryNotOpExpr:
		value := s.value(e.Expr)
		return func(r *plainRun) word { return wordOf(!value(r).holds()) }
	case *ast.LogicalOpExpr:
		a, b, decides := s.value(e.Lhs), s.value(e.Rhs), e.Operator == "or"
		return func(r *plainRun) word {
			if w := a(r); w.holds() == decides {
				return w
			}
			return b(r)
		}
	case *ast.RelationalOpExpr:
		if e.Operator == "==" || e.Operator == "~=" {
			a, b, wanted := s.value(e.Lhs), s.value(e.Rhs), e.Operator == "=="
			return func(r *plainRun) word { return wordOf(r.equals(a(r), b(r)) == wanted) }
		}
	}
	s.foreign = true
	return nil
}

func constant(w word) expression { return func(*plainRun) word { return w } }

// number is a whole one in decimal, which a double has exactly.
func (s *scope) number(e *ast.NumberExpr, sign float64) expression {
	n, err := strconv.ParseUint(e.Value, 10, 53)
	if err != nil {
		s.foreign = true
		return nil
	}
	return constant(word{kind: wordNumber, number: sign * float64(n)})
}

// element is KEYS[n] or ARGV[n], nil where there is none.
func (s *scope) element(e *ast.AttrGetExpr) expression {
	list, isName := e.Object.(*ast.IdentExpr)
	index, isNumber := e.Key.(*ast.NumberExpr)
	if !isName || !isNumber || s.find(list.Value) >= 0 || list.Value != "KEYS" && list.Value != "ARGV" {
		s.foreign = true
		return nil
	}
	n, err := strconv.ParseUint(index.Value, 10, 16)
	if err != nil {
		s.foreign = true
		return nil
	}
	keys, at := list.Value == "KEYS", int(n)-1
	return func(r *plainRun) word {
		args := r.argv
		if keys {
			args = r.keys
		}
		if at < 0 || at >= len(args) {
			return word{}
		}
		return word{kind: wordText, text: args[at]}
	}
}

// call is redis.call with at least one argument.
func (s *scope) call(e *ast.FuncCallExpr) expression {
	f, ok := e.Func.(*ast.AttrGetExpr)
	if !ok || e.Method != "" || len(e.Args) == 0 || len(e.Args) > plainWords {
		s.foreign = true
		return nil
	}
	library, isName := f.Object.(*ast.IdentExpr)
	name, isText := f.Key.(*ast.StringExpr)
	if !isName || !isText || library.Value != "redis" || name.Value != "call" || s.find("redis") >= 0 {
		s.foreign = true
		return nil
	}
	args := make([]expression, len(e.Args))
	for i, arg := range e.Args {
		args[i] = s.value(arg)
	}
	s.strays = s.strays || !s.usesKeys(e.Args)
	return func(r *plainRun) word { return r.call(args) }
}

// specs are made of the table once, which has all commands.
var specs struct {
	once sync.Once
	of   map[string]keySpec
}

// keysOf returns where the locks are among the arguments of a command.
func keysOf(name string) (spec keySpec, known bool) {
	specs.once.Do(func() {
		specs.of = map[string]keySpec{}
		for _, c := range table() {
			specs.of[c.name] = c.keys
		}
	})
	spec, known = specs.of[name]
	return spec, known
}

// usesKeys reports whether the locks that a command uses are all written as KEYS[n], or
// as locals that are that.
func (s *scope) usesKeys(args []ast.Expr) bool {
	name, ok := args[0].(*ast.StringExpr)
	if !ok {
		return false
	}
	spec, known := keysOf(string(appendLower(nil, []byte(name.Value))))
	if !known || spec.counted || spec.first == 0 {
		return false
	}
	last := spec.last
	if last < 0 {
		last += len(args)
	}
	for i := spec.first; i <= last && i < len(args); i += spec.step {
		if !s.isKey(args[i]) {
			return false
		}
	}
	return true
}

func (s *scope) isKey(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.AttrGetExpr:
		list, ok := e.Object.(*ast.IdentExpr)
		return ok && list.Value == "KEYS" // and no local: see element
	case *ast.IdentExpr:
		at := s.find(e.Value)
		return at >= 0 && s.keyed[at]
	}
	return false
}

// find returns where the local of a name is, -1 if there is none.
func (s *scope) find(name string) int {
	for i := len(s.names) - 1; i >= 0; i-- {
		if s.names[i] == name {
			return i
		}
	}
	return -1
}
