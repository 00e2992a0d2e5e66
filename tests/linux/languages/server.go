// A web server with goroutines, channels, timers and a mutex; it ends by itself when it is told to by SIGTERM.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func sum(w http.ResponseWriter, r *http.Request) {
	var total int64
	var group sync.WaitGroup
	numbers := make(chan int64, 8)
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range numbers {
				atomic.AddInt64(&total, n)
				runtime.Gosched()
			}
		}()
	}
	for n := int64(1); n <= 10000; n++ {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	fmt.Fprintln(w, total)
}

func hash(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	length, err := io.Copy(sum, r.Body)
	json.NewEncoder(w).Encode(map[string]any{"length": length, "sha256": fmt.Sprintf("%x", sum.Sum(nil)), "error": err})
}

// A goroutine that never calls anything is preempted, so that others go on.
func busy(w http.ResponseWriter, r *http.Request) {
	var stop atomic.Bool
	go func() {
		for n := 0; !stop.Load(); n++ {
		}
	}()
	time.Sleep(20 * time.Millisecond)
	runtime.GC()
	stop.Store(true)
	fmt.Fprintln(w, "went on")
}

func fault(w http.ResponseWriter, r *http.Request) {
	defer func() { fmt.Fprintln(w, recover()) }()
	var nothing *struct{ a int }
	nothing.a++
}

func main() {
	http.HandleFunc("/sum", sum)
	http.HandleFunc("/hash", hash)
	http.HandleFunc("/busy", busy)
	http.HandleFunc("/fault", fault)
	server := &http.Server{Addr: ":8000"}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		fmt.Println("asked to end")
		server.Shutdown(context.Background())
	}()
	fmt.Println("serving", runtime.GOOS, runtime.GOARCH)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(9)
}
