// Command kubernetes renders kustomizations as kubectl does, has each object decoded, completed and validated by the code
// of the API server, and holds its pods against the Pod Security level of their namespace.
//
//	usage: kubernetes FOLDER|FILE...
//
// A folder is a kustomization; a file has objects as they are. For each it prints a line, a JSON object: "path", "objects"
// as the API server would store them, and "baseline" and "restricted", what of their pods goes beyond these levels. What the
// API server would refuse or warn of is said on standard error, and the exit code is 1.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/capabilities"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

type result struct {
	Path       string           `json:"path"`
	Objects    []runtime.Object `json:"objects"`
	Baseline   []string         `json:"baseline"`
	Restricted []string         `json:"restricted"`
}

// A pod, or what pods are made from.
type podOf struct {
	name, namespace string
	metadata        *metav1.ObjectMeta
	spec            *corev1.PodSpec
}

func main() {
	// As kubeadm and others start it (--allow-privileged); what a pod may have is then the namespace's level.
	capabilities.Setup(true, 0)
	failed := len(os.Args) < 2
	for _, path := range os.Args[1:] {
		result, err := check(path)
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(result)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(path string) (*result, error) {
	content, err := render(path)
	if err != nil {
		return nil, err
	}
	result := &result{Path: path, Baseline: []string{}, Restricted: []string{}}
	levels := map[string]api.Policy{}
	var pods []podOf
	var errs []error
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		object, err := decode(document)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		result.Objects = append(result.Objects, object)
		switch object := object.(type) {
		case *corev1.Namespace:
			// Without a label, as the API server has it unless it is told otherwise.
			open := api.LevelVersion{Level: api.LevelPrivileged, Version: api.LatestVersion()}
			level, wrong := api.PolicyToEvaluate(object.Labels, api.Policy{Enforce: open, Audit: open, Warn: open})
			if len(wrong) > 0 {
				errs = append(errs, wrong.ToAggregate())
			}
			levels[object.Name] = level
		case *corev1.Pod:
			pods = append(pods, podOf{object.Name, object.Namespace, &object.ObjectMeta, &object.Spec})
		case *appsv1.DaemonSet:
			template := &object.Spec.Template
			pods = append(pods, podOf{object.Name, object.Namespace, &template.ObjectMeta, &template.Spec})
		}
	}
	if len(result.Objects) == 0 && len(errs) == 0 {
		return nil, errors.New("there is no object in it")
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		return nil, err
	}
	for _, pod := range pods {
		beyond := func(level api.LevelVersion) []string {
			found := policy.AggregateCheckResults(evaluator.EvaluatePod(level, pod.metadata, pod.spec))
			if found.Allowed {
				return nil
			}
			return []string{found.ForbiddenDetail()}
		}
		of := func(level api.Level) []string {
			return beyond(api.LevelVersion{Level: level, Version: api.LatestVersion()})
		}
		result.Baseline = append(result.Baseline, of(api.LevelBaseline)...)
		result.Restricted = append(result.Restricted, of(api.LevelRestricted)...)
		level, known := levels[pod.namespace]
		if !known {
			continue
		}
		// What is only warned of, or written down, is as little to be exceeded.
		for _, level := range []api.LevelVersion{level.Enforce, level.Audit, level.Warn} {
			for _, detail := range beyond(level) {
				errs = append(errs, fmt.Errorf("%s: %s has the level %s: %s", pod.name, pod.namespace, level.Level, detail))
			}
		}
	}
	return result, errors.Join(errs...)
}

func render(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return os.ReadFile(path)
	}
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), path)
	if err != nil {
		return nil, err
	}
	return rendered.AsYaml()
}

// Decodes an object as the API server does for who asks it to be strict: a key that it does not know, or one that is there
// twice, is an error.
func decode(document []byte) (runtime.Object, error) {
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	object, kind, err := codecs.UniversalDeserializer().Decode(document, nil, nil)
	if err != nil {
		return nil, err
	}
	metadata, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	if _, ok := object.(*corev1.Namespace); !ok && metadata.GetNamespace() == "" {
		metadata.SetNamespace(metav1.NamespaceDefault)
	}
	legacyscheme.Scheme.Default(object)
	internal, err := legacyscheme.Scheme.ConvertToVersion(object, runtime.InternalGroupVersioner)
	if err != nil {
		return nil, err
	}
	name := kind.Kind + " " + metadata.GetName()
	wrong, warnings := validate(internal)
	if err := wrong.ToAggregate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("%s: %q", name, warnings)
	}
	return object, nil
}

func validate(object runtime.Object) (field.ErrorList, []string) {
	ctx := context.Background()
	switch object := object.(type) {
	case *apps.DaemonSet:
		template := &object.Spec.Template
		options := pod.GetValidationOptionsFromPodTemplate(template, nil)
		warnings := pod.GetWarningsForPodTemplate(ctx, field.NewPath("spec", "template"), template, nil)
		return appsvalidation.ValidateDaemonSet(object, options), warnings
	case *core.Pod:
		options := pod.GetValidationOptionsFromPodSpecAndMeta(&object.Spec, nil, &object.ObjectMeta, nil)
		return corevalidation.ValidatePodCreate(object, options), pod.GetWarningsForPod(ctx, object, nil)
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(object), nil
	case *core.Namespace:
		return corevalidation.ValidateNamespace(object), nil
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(object), nil
	}
	// What is not validated is not said to be valid.
	wrong := field.Forbidden(field.NewPath("kind"), fmt.Sprintf("nobody here validates a %T", object))
	return field.ErrorList{wrong}, nil
}
