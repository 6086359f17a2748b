package wire

import (
	"fmt"
	"unicode/utf8"
)

// The bounds of what a failure is described with.
const (
	maxMessage   = 64 << 10 // bytes
	maxStack     = 100      // lines
	maxStackLine = 512      // bytes
)

// bounded cuts what a failure is described with.
func bounded(m RespMeta) RespMeta {
	m.Type = cut(m.Type, maxStackLine)
	m.Message = cut(m.Message, maxMessage)
	if len(m.Stack) == 0 {
		return m
	}
	stack := make([]string, 0, min(len(m.Stack), maxStack))
	for i, line := range m.Stack {
		if left := len(m.Stack) - maxStack; left > 0 && i >= maxStack/2 && i < maxStack/2+left {
			if i == maxStack/2 {
				stack = append(stack, fmt.Sprintf("... %d lines left out ...", left))
			}
			continue
		}
		stack = append(stack, cut(line, maxStackLine))
	}
	m.Stack = stack
	return m
}

// cut shortens s to at most n bytes, at the beginning of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
