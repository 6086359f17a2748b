package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"nimbus/client"
)

// paging says how much of a list to show.
type paging struct {
	limit  int
	cursor string
	all    bool
}

const (
	defaultListed = 50
	maxPage       = 100 // the server gives no more at once
)

func (p *paging) addFlags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", defaultListed, "how many to show at most")
	cmd.Flags().StringVar(&p.cursor, "cursor", "", "go on where a former list ended")
	cmd.Flags().BoolVar(&p.all, "all", false, "show all, however many")
}

func (p *paging) check() error {
	if p.limit < 1 {
		return usagef("--limit must be at least 1")
	}
	return nil
}

// collect asks for page after page until there is enough.
func collect[T any](ctx context.Context, c *cli, p paging, page func(ctx context.Context, limit int, cursor string) (*client.List[T], error)) (*client.List[T], error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	whole := &client.List[T]{Items: []T{}, NextCursor: p.cursor}
	err := c.progress(ctx, "asking "+c.server, func(ctx context.Context) error {
		for {
			limit := maxPage
			if !p.all {
				limit = min(limit, p.limit-len(whole.Items))
			}
			list, err := page(ctx, limit, whole.NextCursor)
			if err != nil {
				return err
			}
			whole.Items = append(whole.Items, list.Items...)
			whole.NextCursor = list.NextCursor
			if list.NextCursor == "" || !p.all && len(whole.Items) >= p.limit {
				return nil
			}
		}
	})
	return whole, err
}

// printList prints a list, as a table with one row an item.
func printList[T any](c *cli, list *client.List[T], head []string, row func(T) []string) error {
	err := c.print(list, func(t *table) {
		t.row(head...)
		for _, item := range list.Items {
			t.row(row(item)...)
		}
	})
	if err == nil && c.output == formatTable && list.NextCursor != "" {
		_, err = fmt.Fprintf(c.err, "there are more: --all, or --cursor %s\n", list.NextCursor)
	}
	return err
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// nonZero is the number, or "" for the 0 that means "as the server sees fit".
func nonZero(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
