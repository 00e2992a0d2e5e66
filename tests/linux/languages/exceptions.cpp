// Exceptions through frames and threads, thread_local with destructors, std::thread and what stands on it.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <regex>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::atomic<int> alive{0}, ended{0};

struct Counted {
    int value = 7;
    Counted() { alive++; }
    ~Counted() { alive--, ended++; }
};

static thread_local Counted own;

static int deep(int n) {
    Counted here;
    if (n == 0) throw std::out_of_range("the deepest");
    return deep(n - 1) + here.value;
}

static void exceptions() {
    try {
        deep(200);
    } catch (const std::exception &e) {
        std::cout << "caught " << e.what() << ", alive " << alive << "\n";
    }
    try {
        std::vector<int>(3).at(9);
    } catch (const std::out_of_range &) {
        std::cout << "out of range\n";
    }
    try {
        try {
            throw std::runtime_error("inner");
        } catch (...) {
            std::throw_with_nested(std::logic_error("outer"));
        }
    } catch (const std::exception &e) {
        std::cout << e.what() << " around ";
        try {
            std::rethrow_if_nested(e);
        } catch (const std::exception &inner) {
            std::cout << inner.what() << "\n";
        }
    }
    try {
        std::string().append(std::string::npos, 'x');
    } catch (const std::length_error &) {
        std::cout << "too long\n";
    }
}

static void threads() {
    std::mutex lock;
    std::condition_variable changed;
    int turn = 0;
    long total = 0;
    std::vector<std::thread> all;
    for (int n = 0; n < 8; n++)
        all.emplace_back([&, n] {
            own.value = n;
            for (int i = 0; i < 50; i++) {
                std::unique_lock held(lock);
                changed.wait(held, [&] { return turn % 8 == n; });
                turn++, total += own.value;
                changed.notify_all();
            }
        });
    for (auto &thread : all) thread.join();
    std::cout << "turns " << turn << " total " << total << " own " << own.value << " ended " << (ended >= 8) << "\n";
    auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("of another thread"); });
    try {
        failing.get();
    } catch (const std::exception &e) {
        std::cout << e.what() << "\n";
    }
    std::timed_mutex timed;
    std::lock_guard held(timed);
    std::thread([&] { std::cout << "timed " << timed.try_lock_for(std::chrono::milliseconds(5)) << "\n"; }).join();
    std::shared_mutex shared;
    std::shared_lock one(shared), other(shared, std::try_to_lock);
    std::cout << "shared " << other.owns_lock() << "\n";
}

static void library() {
    namespace fs = std::filesystem;
    auto folder = fs::temp_directory_path() / "kernlet-cpp";
    fs::create_directories(folder / "a" / "b");
    std::ofstream(folder / "a" / "text") << "one two three\n";
    std::ifstream in(folder / "a" / "text");
    std::map<std::string, int> words;
    for (std::string word; in >> word;) words[word] = static_cast<int>(word.size());
    for (auto &[word, size] : words) std::cout << word << " " << size << "\n";
    int entries = 0;
    for (auto &entry : fs::recursive_directory_iterator(folder)) entries += entry.exists();
    std::cout << "entries " << entries << " size " << fs::file_size(folder / "a" / "text") << " removed " << fs::remove_all(folder) << "\n";
    std::mt19937 numbers(42);
    std::cout << "random " << numbers() << " " << (std::random_device()() != std::random_device()()) << "\n";
    std::cout << std::regex_replace("a1b22c333", std::regex("[0-9]+"), "#") << "\n";
    std::cout << "locale " << std::locale().name() << " " << 3.14159 << "\n";
}

int main() {
    exceptions();
    threads();
    library();
    std::cout.flush();
    return 11;
}
