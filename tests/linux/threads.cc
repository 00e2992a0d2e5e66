// Threads, exceptions and thread-local variables of C++. Says the same on Linux.
#include <atomic>
#include <condition_variable>
#include <future>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>
thread_local int own = 3;
struct D { ~D() { std::cout << "destroyed\n"; } };
int main() {
  std::vector<std::thread> t;
  std::atomic<long> n{0};
  std::mutex m; long s = 0;
  for (int i = 0; i < 20; i++) t.emplace_back([&, i] { own += i; for (int k = 0; k < 1000; k++) { std::lock_guard<std::mutex> g(m); s += own; } n += own; });
  for (auto &x : t) x.join();
  std::cout << n << " " << s << " " << own << "\n";
  try { D d; throw std::runtime_error("thrown"); } catch (std::exception &e) { std::cout << e.what() << "\n"; }
  auto f = std::async(std::launch::async, []() -> int { throw 5; });
  try { f.get(); } catch (int i) { std::cout << "from a thread " << i << "\n"; }
  std::condition_variable cv; std::unique_lock<std::mutex> l(m);
  std::cout << (cv.wait_for(l, std::chrono::milliseconds(10)) == std::cv_status::timeout) << "\n";
  std::promise<int> p; std::thread u([&] { p.set_value(8); }); std::cout << p.get_future().get() << "\n"; u.join();
}
