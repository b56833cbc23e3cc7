package commands

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// chunk is what Redis calls a script in its errors.
const chunk = "user_script"

// concatName is the function that stands in for the operator "..". No script can
// say its name.
const concatName = "\x00concat"

// compile turns a script's text into what a [machine] runs. The operator ".." is
// made a call of our own function: that bounds what it makes, and writes numbers
// as Redis's Lua does.
func compile(text []byte) (*lua.FunctionProto, error) {
	statements, err := parse.Parse(bytes.NewReader(text), chunk)
	if err != nil {
		return nil, compileError(err, text)
	}
	if !rewrite(reflect.ValueOf(statements), 0) {
		return nil, fmt.Errorf("%s: chunk has too many syntax levels", badScript)
	}
	proto, err := lua.Compile(statements, chunk)
	if err != nil {
		return nil, compileError(err, text)
	}
	return proto, nil
}

const badScript = "Error compiling script (new function): " + chunk

// compileError words an error as Redis does.
func compileError(err error, text []byte) error {
	var syntax *parse.Error
	var other *lua.CompileError
	switch {
	case errors.As(err, &syntax) && syntax.Pos.Line == parse.EOF:
		return fmt.Errorf("%s:%d: %s near '<eof>'", badScript, bytes.Count(text, []byte("\n"))+1, syntax.Message)
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%d: %s near '%s'", badScript, syntax.Pos.Line, syntax.Message, syntax.Token)
	case errors.As(err, &other):
		return fmt.Errorf("%s:%d: %s", badScript, other.Line, other.Message)
	}
	return fmt.Errorf("%s: %w", badScript, err)
}

var expressionType = reflect.TypeFor[ast.Expr]()

// maxNesting is how many syntax nodes may be inside one another. The compiler
// goes down as far on its stack.
const maxNesting = 1000

// rewrite replaces every ".." in a syntax tree. The tree has some thirty kinds
// of node, of which one matters, so it is walked by what it is made of. It
// reports false if the tree is too deep.
func rewrite(v reflect.Value, depth int) bool {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return true
		}
		fine := rewrite(v.Elem(), depth)
		if joined, ok := v.Interface().(*ast.StringConcatOpExpr); ok && v.Type() == expressionType {
			v.Set(reflect.ValueOf(concatCall(joined)))
		}
		return fine
	case reflect.Pointer:
		return v.IsNil() || (depth < maxNesting && rewrite(v.Elem(), depth+1))
	case reflect.Slice:
		for i := range v.Len() {
			if !rewrite(v.Index(i), depth) {
				return false
			}
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

// concatCall is the call for a..b, of whose operands those that are calls
// already take their arguments along: a..b..c makes one string, not two.
func concatCall(joined *ast.StringConcatOpExpr) ast.Expr {
	call := &ast.FuncCallExpr{Func: &ast.IdentExpr{Value: concatName}, AdjustRet: true}
	call.Args = append(call.Args, joined.Lhs)
	if rest, ok := joined.Rhs.(*ast.FuncCallExpr); ok && isConcat(rest) {
		call.Args = append(call.Args, rest.Args...)
	} else {
		call.Args = append(call.Args, joined.Rhs)
	}
	for _, e := range []ast.Expr{call, call.Func} {
		e.SetLine(joined.Line())
		e.SetLastLine(joined.LastLine())
	}
	return call
}

func isConcat(call *ast.FuncCallExpr) bool {
	name, ok := call.Func.(*ast.IdentExpr)
	return ok && name.Value == concatName
}
