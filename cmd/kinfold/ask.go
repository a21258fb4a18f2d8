package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kinfold/processor"
	"kinfold/processor/config"
	"kinfold/processor/identity"
)

const (
	// askTimeout bounds a question to a running process; a history reads a topic from its start.
	askTimeout = time.Minute
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 64 << 20
)

// askOptions are the flags that all questions share.
type askOptions struct {
	api, tokenFile, config, stateDir, realm string
	json                                    bool
}

func askCommand() *cobra.Command {
	var o askOptions
	cmd := &cobra.Command{
		Use:   "ask",
		Short: "Ask who a customer is, and why",
		Long: `Answers questions about customers: who one is, why two identifiers are one customer, or why they are not.

A running processor is asked at its address for health and metrics: --api names it, else it is the http.listen of --config, else
http://127.0.0.1:9464. Where that asks for a token, --token-file has it, else the http.token of --config.
The state of a stopped one is read with --state-dir and --config: nothing in it is changed, and a process that uses it is not
disturbed, but named.

An identifier is written NAMESPACE:VALUE, or NAMESPACE@STORE:VALUE where the namespace belongs to a store. Values may be written as a
source sends them; they are normalised. The realm is that of the store, else that of what names no store, else --realm.

Answers are what is committed. They are about people: they are kept by no cache and appear in no log.`,
		Example: `  kinfold ask why email:ana@correo.example user@AR-001:00417
  kinfold ask why-not phone:+541143218765 member_id:LUM-204171
  kinfold ask identifier user 00417 --store AR-001
  kinfold ask customer ckxblcds55oolwqc2y3pwdzekn --json
  kinfold ask why email:ana@correo.example user@AR-001:00417 --state-dir /var/lib/kinfold --config kinfold.yaml`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := cmd.PersistentFlags()
	f.StringVar(&o.api, "api", "", "`URL` of a running processor, such as http://127.0.0.1:9464")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token that the processor asks for")
	f.StringVarP(&o.config, "config", "c", "", "configuration `FILE` (YAML) of the processor")
	f.StringVar(&o.stateDir, "state-dir", "", "read the state of a stopped processor: its state_dir `DIR`, or <state_dir>/<app>; needs --config")
	f.StringVar(&o.realm, "realm", "", "`REALM` to ask in, where the identifiers do not say it")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	cmd.AddCommand(o.customer(), o.identifier(), o.why(), o.whyNot(), o.history(), o.directive(), o.events())
	return cmd
}

func (o *askOptions) customer() *cobra.Command {
	return &cobra.Command{
		Use: "customer ID", Short: "Who a customer is; of an id that ended, who stands for it now and why",
		Args: exactly(1, "one customer id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, "customers/"+url.PathEscape(args[0]), nil, tellCustomer)
		},
	}
}

func (o *askOptions) identifier() *cobra.Command {
	var store string
	cmd := &cobra.Command{
		Use: "identifier NAMESPACE VALUE [--store STORE]", Short: "What is known of an identifier",
		Long: `Tells what is known of an identifier: whose it is, or why it is nobody's; with whom it occurred, how often that may be, and which
directives name it, waiting ones too.`,
		Example: `  kinfold ask identifier email ana@correo.example
  kinfold ask identifier user 00417 --store AR-001`,
		Args: exactly(2, "a namespace and a value"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if store != "" {
				query.Set("store", store)
			}
			return ask(cmd, o, "identifiers/"+url.PathEscape(args[0])+"/"+url.PathEscape(args[1]), query, tellIdentifier)
		},
	}
	cmd.Flags().StringVar(&store, "store", "", "StoreCode `STORE` of a namespace that belongs to a store, or of a national phone number")
	return cmd
}

func (o *askOptions) why() *cobra.Command {
	return &cobra.Command{
		Use: "why A B", Short: "Why two identifiers are one customer: the chain of what joined them",
		Example: "  kinfold ask why email:ana@correo.example user@AR-001:00417",
		Args:    exactly(2, "two identifiers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, "why", url.Values{"a": args[:1], "b": args[1:]}, tellWhy)
		},
	}
}

func (o *askOptions) whyNot() *cobra.Command {
	return &cobra.Command{
		Use: "why-not A B", Short: "Why two identifiers are not one customer: what keeps them apart",
		Long: fmt.Sprintf(`Tells what keeps two identifiers apart: on every way from one to the other over what is known, with at most %d ties that do not join,
what stands in it; and what keeps them apart without any way, such as a directive.`, identity.MaxCrossings),
		Example: "  kinfold ask why-not phone:+541143218765 member_id:LUM-204171",
		Args:    exactly(2, "two identifiers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, "why-not", url.Values{"a": args[:1], "b": args[1:]}, tellWhyNot)
		},
	}
}

func (o *askOptions) history() *cobra.Command {
	return &cobra.Command{
		Use: "history ID", Short: "What happened to a customer, the latest last",
		Long: fmt.Sprintf(`Tells the latest %d changes of a customer, and of an id that ended the change in which it did. They are read from the topic of the changes,
from its start, which takes a while where the topic is long; with --state-dir, too: Kafka has to run.`, processor.MaxHistory),
		Args: exactly(1, "one customer id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, "customers/"+url.PathEscape(args[0])+"/history", nil, tellHistory)
		},
	}
}

func (o *askOptions) directive() *cobra.Command {
	return &cobra.Command{
		Use: "directive ID", Short: "What became of a directive, a dry run included",
		Args: exactly(1, "one directive_id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, "directives/"+url.PathEscape(args[0]), nil, tellDirective)
		},
	}
}

func (o *askOptions) events() *cobra.Command {
	return &cobra.Command{
		Use: "events ID", Short: "Where the events of a customer are: not here, but in a topic",
		Args: exactly(1, "one customer id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, o, "events/"+url.PathEscape(args[0]), nil, func(io.Writer, *struct{}) error { return nil })
		},
	}
}

// oracle answers what the API would be asked for.
type oracle func(ctx context.Context, target string) (status int, body []byte, err error)

// ask puts a question and tells the answer.
func ask[T any](cmd *cobra.Command, o *askOptions, path string, query url.Values, tell func(io.Writer, *T) error) error {
	if query == nil {
		query = url.Values{}
	}
	if o.realm != "" {
		query.Set("realm", o.realm)
	}
	target := "/v1/" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askTimeout)
	defer cancel()
	oracle, closing, err := o.oracle()
	if err != nil {
		return err
	}
	defer closing()
	status, body, err := oracle(ctx, target)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if o.json {
		if _, err := out.Write(body); err != nil {
			return err
		}
	}
	if status != http.StatusOK {
		return refused(status, body)
	}
	if o.json {
		return nil
	}
	answer := new(T)
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("the answer is not that of kinfold: %w", err)
	}
	return tell(out, answer)
}

// refused makes an error of what stands in the place of an answer.
func refused(status int, body []byte) error {
	var r processor.Refusal
	if err := json.Unmarshal(body, &r); err != nil || r.Problem == "" {
		return fmt.Errorf("the answer is not that of kinfold: status %d; check --api", status)
	}
	var b strings.Builder
	b.WriteString(plain(r.Problem))
	for _, p := range r.Elsewhere {
		fmt.Fprintf(&b, "\n  partition %d", p.Partition)
		if p.InstanceID != "" {
			fmt.Fprintf(&b, ": held by instance %s, client %s at %s", plain(p.InstanceID), plain(p.ClientID), plain(p.Host))
		}
		if p.Address != "" {
			fmt.Fprintf(&b, "; --api http://%s", plain(p.Address))
		}
	}
	if r.WhatToDo != "" {
		fmt.Fprintf(&b, "\n  what to do: %s", plain(r.WhatToDo))
	}
	return errors.New(b.String())
}

// oracle finds out who is asked. closing ends it.
func (o *askOptions) oracle() (ask oracle, closing func(), err error) {
	var c *config.Config
	switch {
	case o.stateDir != "" && (o.api != "" || o.tokenFile != ""):
		return nil, nil, usageError{errors.New("--state-dir reads a stopped processor, --api and --token-file ask a running one: use one of them")}
	case o.stateDir != "" && o.config == "":
		return nil, nil, usageError{errors.New("--state-dir needs --config: the rules of the state, and the name of the app")}
	case o.config != "":
		if c, err = config.Load(o.config, os.LookupEnv); err != nil {
			return nil, nil, err
		}
	}
	if o.stateDir != "" {
		c.StateDir = o.stateDir
		a, err := processor.OpenArchive(c, nil)
		if err != nil {
			return nil, nil, err
		}
		return a.Ask, func() { _ = a.Close() }, nil
	}
	base, err := o.base(c)
	if err != nil {
		return nil, nil, err
	}
	token, err := o.token(c)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, target string) (int, []byte, error) { return get(ctx, base, token, target) }, func() {}, nil
}

// base is the address of the running processor, without a slash at its end.
func (o *askOptions) base(c *config.Config) (string, error) {
	if o.api != "" {
		u, err := url.Parse(o.api)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", usageError{errors.New("--api is no URL such as http://127.0.0.1:9464")}
		}
		return strings.TrimSuffix(o.api, "/"), nil
	}
	if c == nil {
		c = config.Default()
	}
	host, port, err := net.SplitHostPort(c.HTTP.Listen)
	if err != nil || port == "0" {
		return "", usageError{errors.New("http.listen has port 0, which is any free one: name the one that the log tells with --api")}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func (o *askOptions) token(c *config.Config) (string, error) {
	if o.tokenFile != "" {
		b, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	if c != nil {
		return c.HTTP.Token.Reveal(), nil
	}
	return "", nil
}

// get asks a running processor.
func get(ctx context.Context, base, token, target string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+target, nil)
	if err != nil {
		return 0, nil, usageError{errors.New("--api is no URL such as http://127.0.0.1:9464")}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return 0, nil, fmt.Errorf("no processor answers at %s: %w\n  what to do: name the address of a running one with --api, or read the state of a stopped one with --state-dir DIR --config FILE", base, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer of %s: %w", base, err)
	}
	return resp.StatusCode, body, nil
}
