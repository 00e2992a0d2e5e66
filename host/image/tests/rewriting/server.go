// Goroutines, the network poller, files and signals of the Go runtime.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", r.URL.Path)
	}))
	var all sync.WaitGroup
	var lock sync.Mutex
	total := 0
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			reply, err := http.Get(fmt.Sprintf("http://%s/%03d", listener.Addr(), i))
			if err != nil {
				panic(err)
			}
			text, _ := io.ReadAll(reply.Body)
			reply.Body.Close()
			lock.Lock()
			total += len(text)
			lock.Unlock()
		}(i)
	}
	all.Wait()
	time.Sleep(time.Millisecond)
	_, err = os.ReadFile("/nonexistent/file")
	fmt.Println("bytes", total, err)
}
