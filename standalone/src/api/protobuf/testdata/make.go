// Writes go.jsonl: objects as Go writes them in protobuf (base64), and what Go's JSON makes of them.
//
// Run it in this directory, with a module beside it that is not checked in:
//
//	go mod init make && go get k8s.io/api@v0.34.1 k8s.io/apimachinery@v0.34.1 && go run make.go
//
// `filled` objects have every field set, `empty` ones none (but all that Go writes anyway), `zeros` have pointers to
// zeros; a `case` is what cannot be had by filling.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	autoscaling1 "k8s.io/api/autoscaling/v1"
	autoscaling2 "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	networking "k8s.io/api/networking/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var kinds = map[string][]runtime.Object{
	"v1": {&core.Namespace{}, &core.ConfigMap{}, &core.Secret{}, &core.Service{}, &core.ServiceAccount{},
		&core.Endpoints{}, &core.Event{}, &core.Pod{}, &core.PersistentVolumeClaim{}, &core.PersistentVolume{},
		&core.ReplicationController{}, &meta.DeleteOptions{}},
	"apps/v1":                      {&apps.Deployment{}, &apps.ReplicaSet{}, &apps.StatefulSet{}, &apps.DaemonSet{}},
	"batch/v1":                     {&batch.Job{}, &batch.CronJob{}},
	"autoscaling/v1":               {&autoscaling1.HorizontalPodAutoscaler{}, &autoscaling1.Scale{}},
	"autoscaling/v2":               {&autoscaling2.HorizontalPodAutoscaler{}},
	"coordination.k8s.io/v1":       {&coordination.Lease{}},
	"discovery.k8s.io/v1":          {&discovery.EndpointSlice{}},
	"events.k8s.io/v1":             {&events.Event{}},
	"networking.k8s.io/v1":         {&networking.Ingress{}},
	"rbac.authorization.k8s.io/v1": {&rbac.Role{}, &rbac.RoleBinding{}, &rbac.ClusterRole{}, &rbac.ClusterRoleBinding{}},
	"authorization.k8s.io/v1":      {&authorization.SelfSubjectAccessReview{}, &authorization.SelfSubjectRulesReview{}},
	"authentication.k8s.io/v1":     {&authentication.SelfSubjectReview{}},
}

func main() {
	for version, objects := range kinds {
		for _, object := range objects {
			kind := reflect.TypeOf(object).Elem().Name()
			object.GetObjectKind().SetGroupVersionKind(schema.FromAPIVersionAndKind(version, kind))
			write("empty", object)
			filler{pods: kind == "Pod", zeros: true}.fill(reflect.ValueOf(object).Elem(), "")
			write("zeros", object)
			filler{pods: kind == "Pod"}.fill(reflect.ValueOf(object).Elem(), "")
			write("filled", object)
		}
	}
	cases()
	slices.Sort(lines)
	check(os.WriteFile("go.jsonl", []byte(strings.Join(lines, "")), 0o644))
}

// Sets all fields of a value, to zeros behind pointers only if `zeros`.
type filler struct{ pods, zeros bool }

func (f filler) fill(v reflect.Value, name string) {
	switch v.Addr().Interface().(type) {
	case *meta.TypeMeta:
		return
	case *core.PodSpec:
		// Once is enough: it is a third of everything.
		if !f.pods {
			return
		}
	case *meta.Time:
		if !f.zeros {
			v.Set(reflect.ValueOf(meta.Unix(1700000000, 0)))
		}
		return
	case *meta.MicroTime:
		if !f.zeros {
			v.Set(reflect.ValueOf(meta.NewMicroTime(time.Unix(1700000000, 120000999))))
		}
		return
	case *resource.Quantity:
		if !f.zeros {
			v.Set(reflect.ValueOf(resource.MustParse("1500m")))
		}
		return
	case *intstr.IntOrString:
		if !f.zeros {
			v.Set(reflect.ValueOf(intstr.FromString("25%")))
		}
		return
	case *meta.FieldsV1:
		v.Field(0).SetBytes([]byte(`{"f:metadata":{".":{}}}`))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), name)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0), name)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		f.fill(value, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
	case reflect.String:
		if !f.zeros {
			v.SetString(name)
		}
	case reflect.Bool:
		v.SetBool(!f.zeros)
	case reflect.Uint8, reflect.Int32, reflect.Int64:
		if f.zeros {
			v.SetZero()
		} else if v.Kind() == reflect.Uint8 {
			v.SetUint(0xfb)
		} else {
			v.SetInt(int64(len(name))*100 - 1250)
		}
	default:
		panic(fmt.Sprint("cannot fill ", v.Type()))
	}
}

func cases() {
	pod := &core.Pod{TypeMeta: meta.TypeMeta{APIVersion: "v1", Kind: "Pod"}}
	pod.Name = "ünï"
	pod.CreationTimestamp = meta.Unix(0, 0)
	pod.DeletionTimestamp = &meta.Time{Time: time.Unix(-2, 0)}
	pod.ManagedFields = []meta.ManagedFieldsEntry{{Manager: "m", FieldsV1: &meta.FieldsV1{}}}
	pod.Spec.Containers = []core.Container{{
		Name: "c", Env: []core.EnvVar{{Name: "A"}, {Name: "B", Value: "b"}, {Name: "C", ValueFrom: &core.EnvVarSource{
			SecretKeyRef: &core.SecretKeySelector{LocalObjectReference: core.LocalObjectReference{Name: "s"}, Key: "k"}}}},
		LivenessProbe: &core.Probe{ProbeHandler: core.ProbeHandler{TCPSocket: &core.TCPSocketAction{
			Port: intstr.FromInt32(-1)}}},
		Resources: core.ResourceRequirements{Limits: core.ResourceList{
			"cpu": resource.MustParse("0.5"), "memory": resource.MustParse("1024Mi")}},
	}, {Name: ""}}
	pod.Generation = 1<<62 + 1
	empty := core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{}}
	pod.Spec.Volumes = []core.Volume{{Name: "e", VolumeSource: empty}, {}}
	write("case", pod)
	event := &core.Event{TypeMeta: meta.TypeMeta{APIVersion: "v1", Kind: "Event"}}
	event.EventTime = meta.NewMicroTime(time.Unix(-1, 1999))
	write("case", event)
	claim := &core.PersistentVolumeClaim{TypeMeta: meta.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}}
	claim.Spec.StorageClassName = new(string)
	write("case", claim)
	secret := &core.Secret{TypeMeta: meta.TypeMeta{APIVersion: "v1", Kind: "Secret"}}
	secret.Data = map[string][]byte{"": {0, 255, 62}, "empty": {}}
	write("case", secret)
	options := &meta.DeleteOptions{TypeMeta: meta.TypeMeta{APIVersion: "apps/v1", Kind: "DeleteOptions"}}
	policy := meta.DeletePropagationForeground
	options.PropagationPolicy, options.DryRun = &policy, []string{"All"}
	write("case", options)
}

var lines []string

func write(name string, object runtime.Object) {
	kind := object.GetObjectKind().GroupVersionKind()
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(kind, object)
	codec := protobuf.NewSerializer(scheme, scheme)
	var encoded bytes.Buffer
	check(codec.Encode(object, &encoded))
	// Through protobuf, so that what it cannot carry is not in the JSON.
	decoded, _, err := codec.Decode(encoded.Bytes(), nil, nil)
	check(err)
	decoded.GetObjectKind().SetGroupVersionKind(kind)
	text, err := json.Marshal(decoded)
	check(err)
	var value any
	reader := json.NewDecoder(bytes.NewReader(text))
	reader.UseNumber()
	check(reader.Decode(&value))
	name = fmt.Sprintf("%s %s %s", kind.GroupVersion(), kind.Kind, name)
	text, err = json.Marshal(map[string]any{"name": name, "protobuf": encoded.Bytes(), "json": withoutNulls(value)})
	check(err)
	lines = append(lines, string(text)+"\n")
}

// A null is as good as nothing.
func withoutNulls(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if inner == nil {
				delete(value, name)
			} else {
				value[name] = withoutNulls(inner)
			}
		}
	case []any:
		for i := range value {
			value[i] = withoutNulls(value[i])
		}
	}
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
