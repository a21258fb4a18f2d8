package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"kinfold/processor/normalize"
)

// TestStories runs the files of testdata. Commands:
//
//	load [env=(NAME=value,…)]    the input is kinfold.yaml; prints its faults as a user sees them, else what differs from the defaults
//	rules [env=(NAME=value,…)]   the same for a file of identity rules
//	file name=PATH               writes the input to a file beside the configuration
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		dir := t.TempDir()
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			env := func(name string) (string, bool) {
				for _, a := range td.CmdArgs {
					if a.Key != "env" {
						continue
					}
					for _, v := range a.Vals {
						if n, value, ok := strings.Cut(v, "="); ok && n == name {
							return strings.ReplaceAll(value, ";", ","), true
						}
					}
				}
				return "", false
			}
			file := filepath.Join(dir, "kinfold.yaml")
			var out string
			switch td.Cmd {
			case "file":
				write(t, filepath.Join(dir, td.CmdArgs[0].Vals[0]), td.Input+"\n")
				return ""
			case "load":
				write(t, file, td.Input)
				c, err := Load(file, env)
				if err != nil {
					out = err.Error()
				} else {
					out = difference(t, c)
				}
			case "rules":
				write(t, file, td.Input)
				r, err := LoadRules(file, env)
				if err != nil {
					out = err.Error()
				} else {
					c := Default()
					c.Identity = *r
					out = difference(t, c)
				}
			default:
				t.Fatalf("unknown command %s", td.Cmd)
			}
			return strings.TrimSpace(strings.ReplaceAll(out, dir+"/", "")) + "\n"
		})
	})
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// difference lists what the effective configuration has and that of the defaults has not, a line for each value.
func difference(t *testing.T, c *Config) string {
	t.Helper()
	standard := flatten(t, Default())
	lines := slices.DeleteFunc(flatten(t, c), func(line string) bool { return slices.Contains(standard, line) })
	if len(lines) == 0 {
		return "the defaults"
	}
	return strings.Join(lines, "\n")
}

func flatten(t *testing.T, c *Config) []string {
	t.Helper()
	var tree yaml.MapSlice
	if err := yaml.UnmarshalWithOptions([]byte(effective(t, c)), &tree, yaml.UseOrderedMap()); err != nil {
		t.Fatal(err)
	}
	var lines []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case yaml.MapSlice:
			for _, item := range v {
				walk(join(path, fmt.Sprint(item.Key)), item.Value)
			}
		default:
			lines = append(lines, fmt.Sprintf("%s: %v", path, v))
		}
	}
	walk("", tree)
	return lines
}

func effective(t *testing.T, c *Config) string {
	t.Helper()
	out, err := Effective(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func noEnv(string) (string, bool) { return "", false }

func TestDefaultsHaveNoFault(t *testing.T) {
	if faults := Default().Validate(); len(faults) > 0 {
		t.Errorf("the defaults have faults: %v", faults)
	}
	if w := Default().Warnings(); len(w) > 0 {
		t.Errorf("the defaults give warnings: %v", w)
	}
}

func TestEffectiveDefaultsLoadAsTheDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kinfold.yaml")
	write(t, file, effective(t, Default()))
	c, err := Load(file, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(effective(t, Default()), effective(t, c)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Default(), c, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Source{})); d != "" {
		t.Error(d)
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	const kafkaSecret, registrySecret, idKey = "kafka-Contraseña-1", "registry-Senha-2", "id-key-3"
	env := map[string]string{"KAFKA_PASSWORD": kafkaSecret, "ID_KEY": idKey}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secrets", "registry"), registrySecret+"\n")
	write(t, filepath.Join(dir, "kinfold.yaml"), `
kafka: {tls: {enabled: true}, sasl: {mechanism: PLAIN, user: kinfold, password: "${KAFKA_PASSWORD}"}}
registry: {urls: [https://registry.example], user: kinfold, password: "${file:secrets/registry}"}
identity: {id_key: "${ID_KEY}"}
`)
	c, err := Load(filepath.Join(dir, "kinfold.yaml"), func(name string) (string, bool) { s, ok := env[name]; return s, ok })
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Kafka.SASL.Password.Reveal(); got != kafkaSecret {
		t.Errorf("kafka password is %q", got)
	}
	if got := c.Registry.Password.Reveal(); got != registrySecret {
		t.Errorf("registry password is %q", got)
	}
	if c.Identity.IDKey != idKey {
		t.Errorf("id_key is %q", c.Identity.IDKey)
	}

	printed := effective(t, c)
	if n := strings.Count(printed, hidden); n != 3 {
		t.Errorf("the effective configuration hides %d secrets, want 3:\n%s", n, printed)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb, c.Kafka) + fmt.Sprintf(verb, &c.Registry) + fmt.Sprintf(verb, c.Kafka.SASL.Password)
	}
	asJSON, err := json.Marshal(c.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("start", "password", c.Kafka.SASL.Password, "kafka", c.Kafka)
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "password", c.Kafka.SASL.Password, "kafka", c.Kafka)
	printed += string(asJSON) + log.String()
	for _, secret := range []string{kafkaSecret, registrySecret, idKey, fmt.Sprintf("%x", kafkaSecret)} {
		if strings.Contains(printed, secret) {
			t.Errorf("%q was printed in:\n%s", secret, printed)
		}
	}
}

func TestRelativePathsBeginAtTheFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "kinfold.yaml"), `
state_dir: state
kafka: {tls: {enabled: true, ca_file: tls/ca.pem, cert_file: /etc/tls/cert.pem, key_file: tls/key.pem},
        sasl: {mechanism: OAUTHBEARER, token_file: token}}
registry: {urls: ["https://registry.example"], tls: {ca_file: tls/registry.pem}}
`)
	c, err := Load(filepath.Join(dir, "kinfold.yaml"), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.StateDir, c.Kafka.TLS.CAFile, c.Kafka.TLS.CertFile, c.Kafka.TLS.KeyFile, c.Kafka.SASL.TokenFile, c.Registry.TLS.CAFile}
	want := []string{
		filepath.Join(dir, "state"), filepath.Join(dir, "tls/ca.pem"), "/etc/tls/cert.pem", filepath.Join(dir, "tls/key.pem"),
		filepath.Join(dir, "token"), filepath.Join(dir, "tls/registry.pem"),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestIdentityComesFromAConfigurationOrFromRulesAlone(t *testing.T) {
	dir := t.TempDir()
	load := func(text string) (*normalize.Rules, error) {
		file := filepath.Join(dir, "kinfold.yaml")
		write(t, file, text)
		return LoadIdentity(file, noEnv)
	}
	const password = `kafka: {tls: {enabled: true}, sasl: {mechanism: PLAIN, user: kinfold, password: "${NOT_HERE}"}}` + "\n"
	for text, want := range map[string]int{
		"customer_limit: 7":                         7,
		"identity: {customer_limit: 8}":             8,
		password + "identity:\n  customer_limit: 9": 9,
		password:               500,
		"# nothing\n":          500,
		password + "identity:": 500,
		`{"identity": {"customer_limit": 10}, "log": {}}`:   10,
		`{"customer_limit": 11, "realms": {"*": "tienda"}}`: 11,
	} {
		rules, err := load(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if rules.CustomerLimit != want {
			t.Errorf("%s: customer_limit is %d", text, rules.CustomerLimit)
		}
	}
	for text, want := range map[string]string{
		"identity: {customer_limit: 0}":                "kinfold.yaml:1:28: identity.customer_limit: ",
		"log: {}\nidentty: {}":                         "kinfold.yaml:2:1: identty: unknown key; did you mean identity?",
		"identity: {}\ncustomer_limit: 3":              "kinfold.yaml:2:1: customer_limit: unknown key",
		"identity: {realmos: {}}":                      "identity.realmos: unknown key; did you mean realms?",
		"identity: {id_key: a}\nidentity: {}":          "identity: is given twice",
		"customers: 3":                                 "customers: unknown key",
		"identity: {id_key: \"${NOT_HERE}\"}\nlog: {}": "NOT_HERE",
	} {
		if _, err := load(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %s", text, err, want)
		}
	}
}

func TestDevelopmentKeyOutsideOfThisMachineIsAWarning(t *testing.T) {
	c := Default()
	c.Kafka.Brokers = []string{"kafka.example:9092"}
	if len(c.Warnings()) != 1 {
		t.Errorf("warnings: %v", c.Warnings())
	}
	c.Identity.IDKey = "a secret"
	if len(c.Warnings()) != 0 {
		t.Errorf("warnings: %v", c.Warnings())
	}
}

func TestMissingFileIsAnError(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "no.yaml"), noEnv); err == nil || !strings.Contains(err.Error(), "no.yaml") {
		t.Errorf("error is %v", err)
	}
}

func TestDerivedNamesBeginWithTheApp(t *testing.T) {
	c := Default()
	c.App = "tienda"
	got := []string{c.KeyedTopic(), c.SeenChangelog(), c.IdentityChangelog(), c.Group(StageIngest), c.Group(StageResolve)}
	want := []string{"tienda.keyed", "tienda.seen-changelog", "tienda.identity-changelog", "tienda.ingest", "tienda.resolve"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestLoadNeverPanics(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "kinfold.yaml")
	whole := effective(t, Default())
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(whole)
		for range rapid.IntRange(1, 8).Draw(t, "edits") {
			at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				text[at] = rapid.SampledFrom([]byte(":-[]{}\"'#&*!|>%@`\n \t$,0x")).Draw(t, "byte")
			case 1:
				text = append(text[:at:at], text[min(at+rapid.IntRange(1, 20).Draw(t, "length"), len(text)-1):]...)
			default:
				text = append(text[:at:at], append([]byte(rapid.SampledFrom([]string{"${", "${X}", "\n  - ", ": ", "&a ", "*a", "!!int "}).Draw(t, "insert")), text[at:]...)...)
			}
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = Load(file, noEnv)
	})
}

// What the command line says wins over the file, and is judged as the file is.
func TestOverridesAreValidatedWithTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kinfold.yaml")
	write(t, path, "app: tienda\nstages: [ingest, resolve]\n")
	env := func(string) (string, bool) { return "", false }
	c, err := Load(path, env, func(c *Config) { c.Stages = []Stage{StageResolve} })
	if err != nil || c.Runs(StageIngest) || !c.Runs(StageResolve) {
		t.Errorf("stages %v, %v", c.Stages, err)
	}
	if _, err := Load(path, env, func(c *Config) { c.Stages = nil }); err == nil || !strings.Contains(err.Error(), "stages: names no stage") {
		t.Errorf("no stage at all: %v", err)
	}
}
