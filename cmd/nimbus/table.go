package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// table lines up columns, for people.
type table struct {
	w   *tabwriter.Writer
	err error
}

func newTable(out io.Writer) *table {
	return &table{w: tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)}
}

// row adds one line. A cell never breaks the line or the columns.
func (t *table) row(cells ...string) {
	if t.err != nil {
		return
	}
	for i, cell := range cells {
		if cell == "" {
			cell = "-"
		}
		cells[i] = oneLine(cell)
	}
	_, t.err = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// field adds a named value, unless there is none.
func (t *table) field(name, value string) {
	if value != "" {
		t.row(name, value)
	}
}

// gap parts two tables.
func (t *table) gap() {
	if err := t.flush(); err != nil {
		t.err = err
		return
	}
	_, t.err = fmt.Fprintln(t.w)
}

func (t *table) flush() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Flush()
}

// oneLine has spaces where text would move the cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

func showTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func showMS(ms float64) string {
	return strconv.FormatFloat(ms, 'f', -1, 64) + " ms"
}

func showMB(mb float64) string {
	return strconv.FormatFloat(mb, 'f', -1, 64) + " MB"
}

func showYes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
