// Goroutines, preemption, signals and timers of Go. Says the same on Linux.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for i := 0; i < 1000; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for k := 0; k < 100; k++ {
				mu.Lock()
				total += i
				mu.Unlock()
				if k%30 == 0 {
					runtime.Gosched()
				}
			}
		}(i)
	}
	wg.Wait()
	fmt.Println("total", total)
	// A goroutine that never calls is preempted by a signal.
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	// Nor does this one, which is preempted in the middle of nothing.
	done := false
	go func() {
		for x := 0; x < 1<<40; x++ {
			if x&0xffffff == 0 && done {
				return
			}
		}
	}()
	time.Sleep(50 * time.Millisecond)
	close(stop)
	runtime.GC()
	done = true
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-c)
	func() {
		defer func() { fmt.Println("recovered", recover()) }()
		var p *int
		*p = 1
	}()
	t := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 5; i++ {
		<-t.C
	}
	fmt.Println("ticked")
	var m [][]byte
	for i := 0; i < 200; i++ {
		m = append(m, make([]byte, 1<<16))
	}
	runtime.GC()
	fmt.Println("done", len(m))
}
