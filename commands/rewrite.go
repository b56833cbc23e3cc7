package commands

import (
	"reflect"
	"slices"
	"strconv"

	"github.com/yuin/gopher-lua/ast"
)

// The interpreter makes tables, functions and joined strings by single
// instructions, of any size and without asking. Before a script is compiled, each
// place where it would is made a call of a function of ours, which counts:
//
//	a .. b            concat(a, b)
//	{x, y, [k] = v}   fill(made({x, y}), k, v)
//	t[k] = v          store(t, k, v)
//	function() end    made(function() end)
//
// A script cannot write these names, and has nothing from finding the functions.
const (
	hidden     = "\x00"
	concatName = hidden + "concat"
	madeName   = hidden + "made"
	fillName   = hidden + "fill"
	storeName  = hidden + "store"
)

// maxNesting is how many syntax nodes may be inside one another. The compiler
// goes down as far on its stack.
const maxNesting = 1000

var (
	expressionType = reflect.TypeFor[ast.Expr]()
	statementType  = reflect.TypeFor[ast.Stmt]()
)

// rewrite replaces what must be counted in a syntax tree, the innermost first.
// The tree has some thirty kinds of node, of which a few matter, so it is walked
// by what it is made of. It reports false if the tree is too deep.
func rewrite(v reflect.Value, depth int) bool {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return true
		}
		fine := rewrite(v.Elem(), depth)
		if v.Type() == expressionType {
			v.Set(reflect.ValueOf(countedExpression(v.Interface().(ast.Expr))))
		}
		return fine
	case reflect.Pointer:
		if v.IsNil() {
			return true
		}
		fine := depth < maxNesting && rewrite(v.Elem(), depth+1)
		if f, ok := v.Interface().(*ast.FunctionExpr); ok && f.ParList.HasVargs {
			// What it was called with may be made a table for it, under this name.
			f.Stmts = slices.Insert(f.Stmts, 0, callStatement(madeName, f, ident("arg", f)))
		}
		return fine
	case reflect.Slice:
		for i := range v.Len() {
			if !rewrite(v.Index(i), depth) {
				return false
			}
		}
		if v.Type().Elem() == statementType && v.Len() > 0 {
			v.Set(reflect.ValueOf(countedStatements(v.Interface().([]ast.Stmt))))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !rewrite(v.Field(i), depth) {
				return false
			}
		}
	}
	return true
}

func countedExpression(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.StringConcatOpExpr:
		return concatCall(e)
	case *ast.TableExpr:
		return tableCall(e)
	case *ast.FunctionExpr:
		return callOf(madeName, e, e)
	case *ast.NumberExpr: // the compiler takes 0010 for 8, and 1e309 for no number
		if n, ok := parseLua(e.Value); ok {
			e.Value = strconv.FormatFloat(n, 'g', -1, 64)
		}
	}
	return e
}

// concatCall is the call for a..b, of whose operands those that are calls
// already take their arguments along: a..b..c makes one string, not two.
func concatCall(joined *ast.StringConcatOpExpr) ast.Expr {
	args := []ast.Expr{joined.Lhs}
	if rest := argsOf(joined.Rhs, concatName); rest != nil {
		args = append(args, rest...)
	} else {
		args = append(args, joined.Rhs)
	}
	return callOf(concatName, joined, args...)
}

// tableCall takes out of a table's constructor what has a key: the interpreter
// fills the table up to a key that is a number.
func tableCall(table *ast.TableExpr) ast.Expr {
	const atOnce = 40 // arguments: a function has some two hundred registers
	var keyed []ast.Expr
	for _, field := range table.Fields {
		if field.Key != nil {
			keyed = append(keyed, single(field.Key), single(field.Value))
		}
	}
	if n := len(table.Fields); n > 0 && table.Fields[n-1].Key != nil {
		for _, field := range table.Fields {
			field.Value = single(field.Value) // none of them will be the last by having become so
		}
	}
	table.Fields = slices.DeleteFunc(table.Fields, func(f *ast.Field) bool { return f.Key != nil })
	call := callOf(madeName, table, table)
	for pairs := range slices.Chunk(keyed, atOnce) {
		call = callOf(fillName, table, append([]ast.Expr{call}, pairs...)...)
	}
	return call
}

func countedStatements(list []ast.Stmt) []ast.Stmt {
	counted := make([]ast.Stmt, 0, len(list))
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			counted = append(counted, assignment(s))
		case *ast.FuncDefStmt:
			counted = append(counted, definition(s))
		case *ast.LocalAssignStmt:
			counted = append(counted, localFunction(s)...)
		default:
			counted = append(counted, s)
		}
	}
	return counted
}

// assignment makes stores of what assigns to fields. All that is on either side
// is evaluated before anything is assigned.
func assignment(s *ast.AssignStmt) ast.Stmt {
	if !slices.ContainsFunc(s.Lhs, isField) {
		return s
	}
	if field, ok := s.Lhs[0].(*ast.AttrGetExpr); ok && len(s.Lhs) == 1 && len(s.Rhs) == 1 {
		return callStatement(storeName, s, field.Object, field.Key, s.Rhs[0])
	}
	places, values := place(&ast.LocalAssignStmt{}, s), place(&ast.LocalAssignStmt{Exprs: s.Rhs}, s)
	block := place(&ast.DoBlockStmt{Stmts: []ast.Stmt{places, values}}, s)
	for i, left := range s.Lhs {
		number := strconv.Itoa(i)
		value := ident(hidden+"v"+number, s)
		values.Names = append(values.Names, value.Value)
		if field, ok := left.(*ast.AttrGetExpr); ok {
			object, key := ident(hidden+"o"+number, s), ident(hidden+"k"+number, s)
			places.Names = append(places.Names, object.Value, key.Value)
			places.Exprs = append(places.Exprs, single(field.Object), single(field.Key))
			block.Stmts = append(block.Stmts, callStatement(storeName, s, object, key, value))
		} else {
			block.Stmts = append(block.Stmts, place(&ast.AssignStmt{Lhs: []ast.Expr{left}, Rhs: []ast.Expr{value}}, s))
		}
	}
	return block
}

func isField(e ast.Expr) bool {
	_, ok := e.(*ast.AttrGetExpr)
	return ok
}

// definition makes an assignment of function t.f() and function t:f().
func definition(s *ast.FuncDefStmt) ast.Stmt {
	left := s.Name.Func
	if left == nil {
		key := place(&ast.StringExpr{Value: s.Name.Method}, s)
		left = place(&ast.AttrGetExpr{Object: s.Name.Receiver, Key: key}, s)
		s.Func.ParList.Names = slices.Insert(s.Func.ParList.Names, 0, "self")
	}
	made := callOf(madeName, s.Func, s.Func)
	return assignment(place(&ast.AssignStmt{Lhs: []ast.Expr{left}, Rhs: []ast.Expr{made}}, s))
}

// localFunction counts a function of a local name once it is there: the compiler
// lets a function see its own name only if nothing but it is assigned.
func localFunction(s *ast.LocalAssignStmt) []ast.Stmt {
	if len(s.Names) != 1 || len(s.Exprs) != 1 {
		return []ast.Stmt{s}
	}
	args := argsOf(s.Exprs[0], madeName)
	if args == nil {
		return []ast.Stmt{s}
	}
	f, ok := args[0].(*ast.FunctionExpr)
	if !ok {
		return []ast.Stmt{s}
	}
	s.Exprs[0] = f
	return []ast.Stmt{s, callStatement(madeName, s, ident(s.Names[0], s))}
}

// argsOf returns the arguments of a call that rewrite made, nil if e is none.
func argsOf(e ast.Expr, function string) []ast.Expr {
	if call, ok := e.(*ast.FuncCallExpr); ok {
		if f, ok := call.Func.(*ast.IdentExpr); ok && f.Value == function {
			return call.Args
		}
	}
	return nil
}

// callOf is a call, of one value, in the place of at. Each argument is one value.
func callOf(function string, at ast.PositionHolder, args ...ast.Expr) *ast.FuncCallExpr {
	args[len(args)-1] = single(args[len(args)-1])
	return place(&ast.FuncCallExpr{Func: ident(function, at), Args: args, AdjustRet: true}, at)
}

func callStatement(function string, at ast.PositionHolder, args ...ast.Expr) ast.Stmt {
	return place(&ast.FuncCallStmt{Expr: callOf(function, at, args...)}, at)
}

// single makes an expression one value, whatever it is.
func single(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
	return e
}

func ident(of string, at ast.PositionHolder) *ast.IdentExpr {
	return place(&ast.IdentExpr{Value: of}, at)
}

// place gives a new node the place of an old one, for errors.
func place[T ast.PositionHolder](made T, at ast.PositionHolder) T {
	made.SetLine(at.Line())
	made.SetLastLine(at.LastLine())
	return made
}
