package commands

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// chunk is what Redis calls a script in its errors.
const chunk = "user_script"

// compile turns a script's text into what a [machine] runs, and into a plain
// script too if it is one, else nil.
func compile(text []byte) (*lua.FunctionProto, *plainScript, error) {
	statements, err := parse.Parse(bytes.NewReader(text), chunk)
	if err != nil {
		return nil, nil, compileError(err, text)
	}
	plain := plainOf(statements)
	if !rewrite(reflect.ValueOf(&statements).Elem(), 0) {
		return nil, nil, fmt.Errorf("%s: chunk has too many syntax levels", badScript)
	}
	proto, err := lua.Compile(statements, chunk)
	if err != nil {
		return nil, nil, compileError(err, text)
	}
	proto.IsVarArg &^= lua.VarArgNeedsArg // nothing can name the table that each run would be given
	return proto, plain, nil
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
